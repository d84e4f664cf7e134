/** An endpoint with several addresses, as a name in DNS has them: a client takes the first that lets it in. */
import { type Endpoint, isLink, type Refusal } from './link.js';

/** @param endpoints one or more, in the order in which they are tried */
export function severalEndpoints(endpoints: readonly Endpoint[]): Endpoint {
  return {
    label: endpoints.map(({ label }) => label).join(', '),
    connect: async () => {
      let refusal: Refusal = { ok: false, kind: 'connect', message: 'there is no address', certain: true };
      for (const endpoint of endpoints) {
        const found = await endpoint.connect();
        if (isLink(found)) return found;
        refusal = found;
      }
      return refusal;
    },
  };
}
