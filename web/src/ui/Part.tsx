import { Component, type ReactNode } from "react";
import { t } from "../i18n";
import { Notice } from "./Notice";

interface PartProps {
  children: ReactNode;
}

/** A part of a page. If it cannot be displayed, the rest of the page stays. */
export class Part extends Component<PartProps, { isBroken: boolean }> {
  override state = { isBroken: false };

  static getDerivedStateFromError() {
    return { isBroken: true };
  }

  /** New data is a new attempt. */
  override componentDidUpdate(before: PartProps) {
    if (this.state.isBroken && before.children !== this.props.children) this.setState({ isBroken: false });
  }

  override render() {
    if (!this.state.isBroken) return this.props.children;
    return (
      <div className="my-4">
        <Notice kind="bad">{t("broken.part")}</Notice>
      </div>
    );
  }
}
