interface SelectProps {
  label: string;
  /** The name of the choice of everything. */
  all: string;
  value: string;
  onChange: (value: string) => void;
  /** Values and their names. */
  options: [value: string, name: string][] | undefined;
  className?: string;
}

/** A choice that narrows a list. A value without a name, from an old address, is shown as it is. */
export function Select({ label, all, value, onChange, options = [], className = "" }: SelectProps) {
  const shown = value && !options.some(([each]) => each === value) ? [[value, value], ...options] : options;
  return (
    <label className={`min-w-0 ${className}`}>
      <span className="sr-only">{label}</span>
      <select className="field rounded-full" value={value} onChange={(event) => onChange(event.target.value)}>
        <option value="">{all}</option>
        {shown.map(([each, name]) => (
          <option key={each} value={each}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}
