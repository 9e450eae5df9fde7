/** What a plant without sensors is told. */
import { Button } from "../../parts/controls.tsx";
import { Empty } from "../../parts/states.tsx";
import { useMay } from "../../session.tsx";

export function FirstReading({ onAdd }: { onAdd: () => void }) {
  const may = useMay();
  return (
    <Empty title="No sensors yet: publish the first reading">
      <p>
        A sensor is made once; from then on every reading on its subject is kept, judged and corrected.
        {may.administer ? " Add one, then publish a reading:" : " An administrator adds one; then publish a reading:"}
      </p>
      <pre>npm run publish-reading -- --sensor ID --value 21.4</pre>
      <p>
        A plant gateway publishes to the NATS subject <code>readings.SITE.KEY</code>, for example{" "}
        <code>{'{"value": 21.4, "timestamp": "2026-11-23T07:00:00Z"}'}</code>, or posts to <code>/api/readings/</code>.
        What a sender without a sensor publishes is kept as a dead letter, and can be replayed once the sensor exists.
      </p>
      {may.administer && (
        <Button kind="primary" onPress={onAdd}>
          Add the first sensor
        </Button>
      )}
    </Empty>
  );
}
