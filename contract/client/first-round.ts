// What a frontend does first, with the client that is generated from ../openapi.json. The tests type-check it.
import createClient from "openapi-fetch";
import type { paths } from "./api";

const client = createClient<paths>({ baseUrl: "http://localhost:8001" });

export async function firstRound(password: string): Promise<string[]> {
  const login = await client.POST("/api/v1/auth/login", { body: { email: "admin@voicegate.local", password } });
  if (!login.data) throw new Error(login.error.code);
  const headers = { Authorization: `Bearer ${login.data.accessToken}` };
  const made = await client.POST("/api/v1/agents", {
    headers,
    body: { name: "Teller", configuration: { knowledge: [{ topic: "opening hours", text: "We open at nine." }] } },
  });
  if (!made.data) throw new Error(made.error.detail);
  const path = { agentId: made.data.id };
  await client.POST("/api/v1/agents/{agentId}/publish", { headers, params: { path }, body: {} });
  const session = await client.POST("/api/v1/agents/{agentId}/sessions", { headers, params: { path }, body: {} });
  const url: string | undefined = session.data?.webSocketUrl;
  const list = await client.GET("/api/v1/conversations", { headers, params: { query: { limit: 10, status: "ended" } } });
  // @ts-expect-error: a field that is not in the contract
  void list.data?.items[0]?.surprise;
  return [url ?? "", ...(list.data?.items ?? []).map((each) => each.agentName)];
}
