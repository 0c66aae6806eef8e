import { type ReactNode, useId, useLayoutEffect, useRef } from "react";

interface DialogProps {
  title: string;
  onClose: () => void;
  children: ReactNode;
  /** Whether Escape closes it; a dialog that asks for a decision may not want that. */
  dismissible?: boolean;
}

/** A modal dialog: the browser keeps the focus in it and gives it back afterwards. */
export function Dialog({ title, onClose, children, dismissible = true }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  // Closed before it goes from the page: only then the browser gives the focus back.
  useLayoutEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={ref}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        if (dismissible) onClose();
      }}
      className="card w-[min(28rem,calc(100vw-2rem))] p-6 text-ink shadow-2xl"
    >
      <h2 id={id} className="mb-3">
        {title}
      </h2>
      {children}
    </dialog>
  );
}
