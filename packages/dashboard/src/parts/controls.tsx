/** React Aria's controls in our own clothes: behaviour, focus and names are theirs, the looks are in main.css. */
import type { ReactNode } from "react";
import * as Aria from "react-aria-components";

/** Busy is disabled: React Aria's own pending state leaves a name in its live region that points at nothing once a dialog has closed. */
export function Button({
  kind,
  isBusy = false,
  className,
  ...props
}: Omit<Aria.ButtonProps, "isPending"> & { kind?: "primary" | "plain" | "danger"; isBusy?: boolean }) {
  return (
    <Aria.Button
      {...props}
      isDisabled={isBusy || props.isDisabled === true}
      className={["button", kind, className as string].filter(Boolean).join(" ")}
    />
  );
}

interface InputProps extends Omit<Aria.TextFieldProps, "children"> {
  label: string;
  description?: ReactNode;
  isMultiline?: boolean;
  placeholder?: string | undefined;
  inputMode?: "decimal" | "numeric";
  hidesLabel?: boolean;
  /** What is wrong with what was typed, in words, where the form says so itself. */
  problem?: string | undefined;
}

export function TextInput({ label, description, isMultiline, placeholder, hidesLabel, problem, ...props }: InputProps) {
  return (
    <Aria.TextField {...props} {...(problem === undefined ? {} : { isInvalid: true })} className="field">
      <Aria.Label className={hidesLabel === true ? "visually-hidden" : ""}>{label}</Aria.Label>
      {isMultiline === true ? (
        <Aria.TextArea className="input" placeholder={placeholder ?? ""} />
      ) : (
        <Aria.Input className="input" placeholder={placeholder ?? ""} />
      )}
      {description !== undefined && <Aria.Text slot="description">{description}</Aria.Text>}
      <Aria.FieldError>{problem}</Aria.FieldError>
    </Aria.TextField>
  );
}

export function Search({
  label,
  value,
  onChange,
}: {
  label: string;
  value: string;
  onChange: (value: string) => void;
}) {
  return (
    <Aria.SearchField value={value} onChange={onChange} className="field search" aria-label={label}>
      <Aria.Input className="input" placeholder={label} />
    </Aria.SearchField>
  );
}

export interface Option {
  id: string;
  label: string;
}

export function Select({
  label,
  options,
  value,
  onChange,
  hidesLabel = false,
}: {
  label: string;
  options: readonly Option[];
  value: string;
  onChange: (value: string) => void;
  hidesLabel?: boolean;
}) {
  return (
    <Aria.Select
      className="field"
      selectedKey={value}
      onSelectionChange={(key) => onChange(String(key))}
      {...(hidesLabel ? { "aria-label": label } : {})}
    >
      {!hidesLabel && <Aria.Label>{label}</Aria.Label>}
      <Aria.Button className="button select-button">
        <Aria.SelectValue />
      </Aria.Button>
      <Offered options={options} />
    </Aria.Select>
  );
}

/** What may be chosen, below the field. Without options it shows those of the field that it is in. */
export function Offered({ options }: { options?: readonly { id: string | number; label: string }[] }) {
  return (
    <Aria.Popover className="popover">
      <Aria.ListBox<{ id: string | number; label: string }> {...(options === undefined ? {} : { items: options })}>
        {({ id, label: text }) => (
          <Aria.ListBoxItem id={id} className="option" textValue={text}>
            {text}
          </Aria.ListBoxItem>
        )}
      </Aria.ListBox>
    </Aria.Popover>
  );
}

/** One of a few, all in sight. */
export function Segments({
  label,
  options,
  value,
  onChange,
}: {
  label: string;
  options: readonly Option[];
  value: string | null;
  onChange: (value: string) => void;
}) {
  return (
    <Aria.ToggleButtonGroup
      aria-label={label}
      className="segments"
      selectionMode="single"
      selectedKeys={value === null ? [] : [value]}
      onSelectionChange={([key]) => key !== undefined && onChange(String(key))}
    >
      {options.map(({ id, label: text }) => (
        <Aria.ToggleButton key={id} id={id} className="segment">
          {text}
        </Aria.ToggleButton>
      ))}
    </Aria.ToggleButtonGroup>
  );
}

export function Checkbox({ children, ...props }: Omit<Aria.CheckboxProps, "children"> & { children?: ReactNode }) {
  return (
    <Aria.Checkbox {...props} className="checkbox">
      {({ isIndeterminate }) => (
        <>
          <span className="box" aria-hidden="true">
            <svg viewBox="0 0 16 16">
              <path d={isIndeterminate ? "M2 8h12" : "M2 8l4 4 8-8"} />
            </svg>
          </span>
          {children}
        </>
      )}
    </Aria.Checkbox>
  );
}

/** A dialog that is open while this is shown. */
export function Dialog({
  title,
  onClose,
  isWide = false,
  children,
}: {
  title: string;
  onClose: () => void;
  /** For a form that is long: a slip of the mouse beside it does not throw away what was typed. */
  isWide?: boolean;
  children: ReactNode;
}) {
  return (
    <Aria.ModalOverlay
      className="overlay"
      isOpen
      isDismissable={!isWide}
      onOpenChange={(isOpen) => !isOpen && onClose()}
    >
      <Aria.Modal className={isWide ? "modal wide" : "modal"}>
        <Aria.Dialog className="dialog">
          <Aria.Heading slot="title" level={2}>
            {title}
          </Aria.Heading>
          {children}
        </Aria.Dialog>
      </Aria.Modal>
    </Aria.ModalOverlay>
  );
}
