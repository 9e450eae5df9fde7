/** The end of a list that has more than is shown. */
import { Button } from "./controls.tsx";

export function Pager({
  list,
  children,
}: {
  list: { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => unknown };
  /** What the button says. */
  children: string;
}) {
  if (!list.hasNextPage) return null;
  return (
    <div className="pager">
      <Button isBusy={list.isFetchingNextPage} onPress={() => void list.fetchNextPage()}>
        {children}
      </Button>
    </div>
  );
}
