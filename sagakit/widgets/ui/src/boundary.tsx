/** Keeps the rest of the page when one part of it fails. */
import { Component, type ReactNode } from "react";

const CURE = "Undo the last change, or go on in the YAML tab.";

interface Props {
  what: string; // the part that may fail, as the user calls it
  again: unknown; // when this changes, the part is drawn anew
  cure?: string; // what the user can do; left out: what helps in the designer
  children: ReactNode;
}

export class Boundary extends Component<Props, { error: Error | null }> {
  state = { error: null as Error | null };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  componentDidUpdate(before: Props): void {
    if (before.again !== this.props.again && this.state.error) this.setState({ error: null });
  }

  render(): ReactNode {
    const { error } = this.state;
    if (!error) return this.props.children;
    return (
      <div className="sk-failed" role="alert">
        <p>{this.props.what} cannot be shown: this is a fault of sagakit, not of your saga.</p>
        <p className="sk-code">{error.message}</p>
        <p>{this.props.cure ?? CURE}</p>
      </div>
    );
  }
}
