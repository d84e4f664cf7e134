/** A client's session: parts, each on a connection of its own, with as many others as it asks for. */
export type Part<Client> = (client: Client, another: () => Promise<Client>) => Promise<void>;

export interface Session<Client> {
  connect(port: number): Promise<Client>;
  disconnect(client: Client): void;
  readonly parts: Readonly<Record<string, Part<Client>>>;
}

/** Runs one part against an endpoint, and closes what it opened. */
export async function runPart<Client>(session: Session<Client>, name: string, port: number): Promise<void> {
  const open: Client[] = [];
  const another = async () => {
    const client = await session.connect(port);
    open.push(client);
    return client;
  };
  try {
    await session.parts[name]!(await another(), another);
  } finally {
    for (const client of open) session.disconnect(client);
  }
}
