import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { createTickets, maxTickets } from "./tickets.ts";

const ticket = (number: number): Buffer => Buffer.from(`ticket number ${String(number).padStart(6)}`);

test("a ticket opens its mailbox once, within a minute", () => {
  let nowMs = 0;
  const tickets = createTickets(() => nowMs);
  tickets.grant(ticket(1), "a@x");
  tickets.grant(ticket(2), "b@x");
  assert.equal(tickets.take(ticket(1)), "a@x");
  assert.equal(tickets.take(ticket(1)), undefined);
  assert.equal(tickets.take(ticket(3)), undefined);
  nowMs = 60_000;
  assert.equal(tickets.take(ticket(2)), undefined);
});

test("the oldest ticket gives way when there are too many", () => {
  const tickets = createTickets(() => 0);
  for (let number = 0; number <= maxTickets; number++) tickets.grant(ticket(number), `${number}@x`);
  assert.equal(tickets.take(ticket(0)), undefined);
  assert.equal(tickets.take(ticket(1)), "1@x");
  assert.equal(tickets.take(ticket(maxTickets)), `${maxTickets}@x`);
});

test("what is too short to be a secret, too long, or granted already, is no ticket", () => {
  const tickets = createTickets(() => 0);
  assert.equal(tickets.grant(Buffer.alloc(15), "a@x"), "broken");
  assert.equal(tickets.grant(Buffer.alloc(65), "a@x"), "broken");
  assert.equal(tickets.grant(ticket(1), "a@x"), undefined);
  assert.equal(tickets.grant(ticket(1), "b@x"), "broken");
  assert.equal(tickets.take(ticket(1)), "a@x");
});
