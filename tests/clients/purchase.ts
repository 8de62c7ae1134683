// Buys one unit by the types that openapi-typescript makes of the document, and prints what became of
// it. The argument is the gateway's URL. It compiles only if the document describes what it uses.

import createClient from "openapi-fetch";
import type { components, paths } from "./api";

type Refusal = components["schemas"]["RpcStatus"];

const api = createClient<paths>({ baseUrl: process.argv[2] });

function reason(refusal: Refusal): string {
  for (const detail of refusal.details) {
    if (detail["@type"] === "type.googleapis.com/google.rpc.ErrorInfo") return detail.reason;
  }
  throw new Error("a refusal without a reason");
}

function answered<T>(answer: { data?: T; error?: Refusal }): T {
  if (answer.error) throw new Error(`refused: ${reason(answer.error)}`);
  return answer.data as T;
}

// Comes back when it is told to.
async function insist<T>(ask: (attempt: number) => Promise<{ data?: T; error?: Refusal; response: Response }>) {
  for (let attempt = 1; attempt <= 50; attempt++) {
    const answer = await ask(attempt);
    if (answer.response.status !== 503) return answered(answer);
    await new Promise((later) => setTimeout(later, 200));
  }
  throw new Error("told to come back too often");
}

const account = { email: "typescript@example.org", password: "correct horse" };
answered(await api.POST("/v1/accounts", { body: account }));
const session = answered(await api.POST("/v1/sessions", { body: account }));
api.use({
  onRequest({ request }) {
    request.headers.set("authorization", `Bearer ${session.access_token}`);
  },
});

const forged = await api.POST("/v1/purchases", { body: { ticket: "forged", attempt: 1 } });
if (!forged.error || reason(forged.error) !== "TICKET_INVALID") throw new Error("a forged ticket is taken");

const { sales } = answered(await api.GET("/v1/sales", {}));
const path = { sale_id: sales[0].sale_id };
const sale = answered(await api.GET("/v1/sales/{sale_id}", { params: { path } }));
const item_id = sale.items![0].item_id;
const wish = { item_id, quantity: 1, request_id: "first" };
const { ticket } = await insist(() => api.POST("/v1/tickets", { body: wish }));
const bought = await insist((attempt) => api.POST("/v1/purchases", { body: { ticket, attempt } }));
const order = answered(
  await api.GET("/v1/orders/{order_id}", {
    params: { path: { order_id: bought.order_id }, header: { "seckill-ticket": ticket } },
  }),
);
console.log(JSON.stringify({ bought: bought.state, order: order.state }));
