/** A study that a page shows. */
export interface Study {
  /** Module of flower/studies that makes it. */
  module: string;
  title: string;
  /** Paragraphs above the figures. */
  text: readonly string[];
}

/** Every study by its name on the command line, which is also that of its page. */
export const studies: Record<string, Study> = {
  robustness: {
    module: 'studies.robustness',
    title: 'How strategies stand attackers',
    text: [
      'Some nodes send a model that is meant to harm. `FL_STRATEGY` decides how much of it reaches the common one: FedAvg takes the mean of all, so that one node can move it anywhere; the others leave out what lies far from the rest.',
      'A robust strategy is told how many attackers to stand (`FL_NUM_MALICIOUS`, `FL_TRIM_BETA`); beyond that number it promises nothing, and FedTrimmedAvg then does fall. Flipped labels move a model far less than noise does: with evenly shared data FedAvg loses little to a few of them.',
    ],
  },
  'non-iid': {
    module: 'studies.non_iid',
    title: 'How strategies fare when nodes know different labels',
    text: [
      'Nodes seldom hold the same kind of data. Here each label is dealt out unevenly, the more so the smaller alpha is.',
      'FedAvg loses a quarter of its accuracy from alpha 10 to alpha 0.03, FedAdam a tenth. FedProx holds the nodes back, which costs speed: in so few rounds it stays a little behind FedAvg.',
      'These are figures of one data set and few rounds. The `FL_SERVER_LR` of FedAdam was picked out of three on this very data (in trials 0.01 was far behind FedAvg and 0.03 about level with it), so its lead is the most that can be expected of it.',
    ],
  },
};
