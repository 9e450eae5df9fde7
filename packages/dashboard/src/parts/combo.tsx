/** A field that offers what fits what is typed. Apart from the other controls: the first page has none. */
import type { ReactNode } from "react";
import * as Aria from "react-aria-components";
import { Offered } from "./controls.tsx";

/** Typed or chosen from what is offered for what was typed so far. */
export function Combo({
  label,
  opens,
  offered,
  typed,
  onType,
  onChoose,
  description,
  problem,
  placeholder = "",
  isFree = false,
  autoFocus = false,
}: {
  label: string;
  /** What the button is called that shows what is offered. */
  opens: string;
  offered: readonly { id: string | number; label: string }[];
  typed: string;
  onType: (typed: string) => void;
  onChoose: (id: string | number | null) => void;
  description?: ReactNode;
  problem?: string | undefined;
  placeholder?: string;
  /** Whether something that is not offered may be typed. */
  isFree?: boolean;
  autoFocus?: boolean;
}) {
  return (
    <Aria.ComboBox
      className="field combo"
      autoFocus={autoFocus}
      items={offered}
      inputValue={typed}
      onInputChange={onType}
      onSelectionChange={onChoose}
      allowsCustomValue={isFree}
      isInvalid={problem !== undefined}
      validationBehavior="aria"
    >
      <Aria.Label>{label}</Aria.Label>
      <div className="combo-box">
        <Aria.Input className="input" placeholder={placeholder} />
        <Aria.Button className="button select-button" aria-label={opens} />
      </div>
      {description !== undefined && <Aria.Text slot="description">{description}</Aria.Text>}
      <Aria.FieldError>{problem}</Aria.FieldError>
      <Offered />
    </Aria.ComboBox>
  );
}
