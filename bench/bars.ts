/** What this server is to reach, row by row of the table that `ratios.ts` prints. */
export interface Bar {
  readonly scenario: string;
  /** Which cases of it. */
  readonly cases: RegExp;
  readonly figure: string;
  /** The best of the peers, or one by name; an own case of the same scenario; nothing: `reach` is the figure itself. */
  readonly beside?:
    | "the best peer"
    | "postfix"
    | "haraka"
    | "opensmtpd"
    | "dovecot"
    | { readonly ownCase: RegExp; readonly ownFigure?: string };
  /** So many times as good, or the figure itself: at most, where less is better, else at least. */
  readonly reach: number;
  /** Only on such a disk. */
  readonly disk?: "discard" | "no discard";
}

const emptyQueue = { ownCase: /^local, empty/ };

export const bars: readonly Bar[] = [
  { scenario: "S1", cases: /^4k S=20$/, figure: "e2e", beside: "the best peer", reach: 6, disk: "discard" },
  { scenario: "S1", cases: /^4k S=20 -d$/, figure: "e2e", beside: "the best peer", reach: 8, disk: "discard" },
  { scenario: "S1", cases: /^4k S=20$/, figure: "e2e", beside: "postfix", reach: 3, disk: "no discard" },
  { scenario: "S1", cases: /^4k S=20 -d$/, figure: "e2e", beside: "postfix", reach: 4, disk: "no discard" },
  { scenario: "S1", cases: /^4k S=1( -d)?$/, figure: "e2e", beside: "the best peer", reach: 4 },
  { scenario: "S1", cases: /^4k S=100( -d)?$/, figure: "e2e", beside: "the best peer", reach: 7 },
  { scenario: "S1", cases: /^50k S=20( -d)?$/, figure: "e2e", beside: "the best peer", reach: 4 },
  { scenario: "S1", cases: /^4k S=20( -d)?$/, figure: "cpu", reach: 0.35 },
  { scenario: "S2", cases: /^4k S=20$/, figure: "e2e", beside: "haraka", reach: 2.5 },
  { scenario: "S2", cases: /^4k S=20$/, figure: "e2e", beside: "postfix", reach: 5 },
  { scenario: "S2", cases: /^4k S=20 -d$/, figure: "e2e", beside: "haraka", reach: 2 },
  { scenario: "S2", cases: /^100k S=20 -d$/, figure: "e2e", reach: 1_200 },
  { scenario: "S3", cases: /^remote/, figure: "e2e", beside: "postfix", reach: 1.5 },
  { scenario: "S3", cases: /^local/, figure: "e2e", beside: "postfix", reach: 1.3 },
  { scenario: "S4", cases: /backlog$/, figure: "accept", beside: "postfix", reach: 3 },
  { scenario: "S4", cases: /backlog$/, figure: "last_first", reach: 0.9 },
  { scenario: "S4", cases: /backlog$/, figure: "e2e", beside: "postfix", reach: 2 },
  { scenario: "S5", cases: /idle$/, figure: "idle_pss", reach: 130 },
  { scenario: "S5", cases: /idle$/, figure: "more_pss", reach: 25 },
  { scenario: "S5T", cases: /TLS$/, figure: "smtpd_pss", reach: 600 },
  { scenario: "S5T", cases: /TLS$/, figure: "banner_max", reach: 100 },
  { scenario: "S6", cases: /./, figure: "p50", beside: "the best peer", reach: 1 },
  { scenario: "S6", cases: /./, figure: "p99", beside: "the best peer", reach: 1 },
  { scenario: "S7", cases: /^serial/, figure: "e2e", beside: "the best peer", reach: 8 },
  { scenario: "S7", cases: /^serial/, figure: "e2e", beside: "postfix", reach: 15 },
  { scenario: "S8", cases: /^login/, figure: "stat_ms", reach: 100 },
  { scenario: "S8", cases: /^retr/, figure: "e2e", beside: "dovecot", reach: 0.7 },
  { scenario: "S9", cases: /^\d+ deferred/, figure: "start_s", reach: 5 },
  { scenario: "S9", cases: /^\d+ deferred/, figure: "queue_pss", reach: 200 },
  { scenario: "S9", cases: /^\d+ deferred/, figure: "list_s", reach: 1 },
  {
    scenario: "S9",
    cases: /^\d+ deferred/,
    figure: "live_e2e",
    beside: { ownCase: /^relay, empty/, ownFigure: "e2e" },
    reach: 0.5,
  },
  { scenario: "S9", cases: /^local, \d+ deferred/, figure: "accept", beside: emptyQueue, reach: 0.8 },
  { scenario: "S9", cases: /^local, \d+ deferred/, figure: "e2e", beside: emptyQueue, reach: 0.8 },
  { scenario: "S10", cases: /busy$/, figure: "per_s", reach: 10_000 },
  { scenario: "S10", cases: /busy$/, figure: "wait_max", reach: 200 },
  { scenario: "S11", cases: /^local, \d+ dead/, figure: "e2e", beside: emptyQueue, reach: 0.9 },
  { scenario: "S11", cases: /^relay, \d+ dead/, figure: "e2e", beside: { ownCase: /^relay, empty/ }, reach: 0.9 },
  { scenario: "TLS", cases: /./, figure: "e2e", beside: "postfix", reach: 3 },
  { scenario: "AUTH", cases: /./, figure: "e2e", beside: "postfix", reach: 4 },
];
