/** Checkboxes that belong together. Apart from the other controls: the first page has none. */
import type { ReactNode } from "react";
import * as Aria from "react-aria-components";
import { Checkbox, type Option } from "./controls.tsx";

/** Several of a few, all in sight. */
export function Checkboxes({
  label,
  description,
  options,
  value,
  onChange,
}: {
  label: string;
  description?: ReactNode;
  options: readonly (Option & { isFixed?: boolean })[];
  value: readonly string[];
  onChange: (value: string[]) => void;
}) {
  return (
    <Aria.CheckboxGroup className="field checkboxes" value={[...value]} onChange={onChange}>
      <Aria.Label>{label}</Aria.Label>
      <div className="checkbox-row">
        {options.map(({ id, label: text, isFixed = false }) => (
          <Checkbox key={id} value={id} isReadOnly={isFixed}>
            {text}
          </Checkbox>
        ))}
      </div>
      {description !== undefined && <Aria.Text slot="description">{description}</Aria.Text>}
    </Aria.CheckboxGroup>
  );
}
