/** An answer of plain text. */
export function text(body: string, status = 200): Response {
  return new Response(body, { status, headers: { 'content-type': 'text/plain; charset=utf-8' } });
}

export function json(body: unknown): Response {
  return new Response(`${JSON.stringify(body, null, 1)}\n`, { headers: { 'content-type': 'application/json' } });
}

/** A whole number from the query, within bounds; null when it is none. */
export function wholeParameter(url: URL, name: string, fallback: number, most: number): number | null {
  const given = url.searchParams.get(name);
  if (given === null) return fallback;
  return /^\d{1,9}$/.test(given) && Number(given) <= most ? Number(given) : null;
}
