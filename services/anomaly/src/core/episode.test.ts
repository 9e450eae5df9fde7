import { expect, it } from "vitest";
import { continueEpisode, openEpisode } from "./episode.ts";
import type { Judgement } from "./judge.ts";

const flag = (value: number): Judgement => ({
  flagged: true,
  alarm: false,
  method: "isolation_forest",
  value,
  expected: 5,
  deviation: value - 5,
  score: 0.7,
  modelVersion: 1,
  isDropout: false,
  explanation: {
    sentence: `${value} measured, where 5 is usual: score 0.7, above the threshold 0.6 (isolation forest).`,
  },
});
const alarm: Judgement = {
  ...flag(9),
  alarm: true,
  method: "rule",
  explanation: { sentence: "9 measured, where 5 is usual: above the range, which ends at 8.", rules: [] },
};

it("an alarm's sentence tells its own reading, and the worst that came later", () => {
  const episode = openEpisode(0, alarm);
  const said = () => [episode.value, episode.explanation["sentence"]];
  continueEpisode(episode, 1, flag(7));
  expect(said()).toEqual([9, "9 measured, where 5 is usual: above the range, which ends at 8."]);
  const own = "9 measured, where 5 is usual: above the range, which ends at 8; at its worst ";
  continueEpisode(episode, 2, flag(10));
  expect(said()).toEqual([10, `${own}10, where 5 is usual.`]);
  continueEpisode(episode, 3, flag(-2));
  expect(said()).toEqual([-2, `${own}-2, where 5 is usual.`]);
  expect(episode).toMatchObject({ method: "rule", explanation: { rules: [] } });
  // A worse reading that is an alarm itself speaks for itself.
  continueEpisode(episode, 4, { ...alarm, value: 15, deviation: 10, explanation: { sentence: "15 measured." } });
  expect(said()).toEqual([15, "15 measured."]);
});

it("a flag has one sentence, that of its worst reading", () => {
  const episode = openEpisode(0, flag(7));
  continueEpisode(episode, 1, flag(8));
  expect(episode.explanation).toEqual(flag(8).explanation);
});
