/** What a caller writes, checked against the declarations; nothing here runs. */

import { type Answer, EdgeClient, InvalidRequest, Unavailable } from "recserve-edge";

const client = await EdgeClient.open({ api: "/api", compareEvery: 0 });
await client.ready();
const answer: Answer = await client.recommend({
  user_id: "ana",
  history: [260, "1196"],
  filters: { allow: { min_year: 1990 }, deny: { genres: ["Horror"] } },
  rules: { pins: [{ item_id: 260, position: 1 }] },
});
const titles: string[] = answer.items.map(({ title }) => title);
const why: string = answer.by === "edge" ? answer.reason : (answer.recommendation_id ?? titles[0]);
const id: string = await client.record({ user_id: "ana", item_id: 260, kind: "view" });
const waiting: number = client.status().n_waiting;
// @ts-expect-error kinds are named
await client.record({ user_id: "ana", item_id: 260, kind: "glance" });
// @ts-expect-error clients come from `open`
new EdgeClient();
export const errors = [InvalidRequest, Unavailable, why, id, waiting];
