/** A table of a few columns. Where there is no room each row is a block, and each cell is named by its column. */
import { Fragment, type ReactNode } from "react";

export interface Column<T> {
  name: string;
  /** The column of the buttons has a name for those alone who do not see what it is. */
  isActions?: boolean;
  isNumber?: boolean;
  /** Never broken into lines where there is room for columns. */
  isWhole?: boolean;
  className?: string;
  cell: (row: T) => ReactNode;
}

/** The first column says what the row is about. */
export function Table<T>({
  columns,
  rows,
  keyOf,
  detailOf,
}: {
  columns: readonly Column<T>[];
  rows: readonly T[];
  keyOf: (row: T) => string | number;
  /** What is shown below a row across all columns, if anything. */
  detailOf?: (row: T) => ReactNode | false;
}) {
  return (
    <table className="table stacks">
      <thead>
        <tr>
          {columns.map(({ name, isActions, isNumber }) => (
            <th key={name} className={isNumber === true ? "number" : ""}>
              {isActions === true ? <span className="visually-hidden">{name}</span> : name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => {
          const detail = detailOf?.(row);
          return (
            <Fragment key={keyOf(row)}>
              <tr>
                {columns.map((column, index) => (
                  <td
                    key={column.name}
                    className={classesOf(column, index)}
                    {...(index === 0 || column.isActions === true ? {} : { "data-label": column.name })}
                  >
                    {column.cell(row)}
                  </td>
                ))}
              </tr>
              {detail !== undefined && detail !== false && (
                <tr>
                  <td colSpan={columns.length} className="detail-cell">
                    {detail}
                  </td>
                </tr>
              )}
            </Fragment>
          );
        })}
      </tbody>
    </table>
  );
}

const classesOf = <T,>({ isActions, isNumber, isWhole, className }: Column<T>, index: number): string =>
  [
    index === 0 && "lead",
    isNumber === true && "number",
    isWhole === true && "whole",
    isActions === true && "row-actions",
    className,
  ]
    .filter(Boolean)
    .join(" ");
