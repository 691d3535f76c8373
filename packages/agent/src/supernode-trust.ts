import { join } from 'node:path';
import type { ReferenceName } from '@oneflower/contract';
import { checkCa, isOutdated, keepCa, readCaPin } from './discovery/ca-pin.ts';
import { type Advertised, decideTrust, type Trust } from './discovery/decide.ts';
import { type Found, findSuperLinkVm } from './discovery/discover.ts';
import { ensureFolder, writeFileAtomic } from './files.ts';
import type { Guest } from './guest.ts';

/** How a SuperNode trusts its SuperLink: by a CA, which it keeps once it was enrolled with it. */
export class SuperLinkTrust {
  readonly #guest: Guest;
  #trust: Trust | undefined;

  constructor(guest: Guest) {
    this.#guest = guest;
  }

  /** The CA to trust, as text and as a file; undefined without TLS. */
  get ca(): { caPem: string; caFile: string } | undefined {
    if (this.#trust?.mode !== 'tls') return undefined;
    return { caPem: this.#trust.caPem, caFile: join(this.#guest.layout.certs, 'ca.crt') };
  }

  /**
   * What OneFlow has filled into the CONTEXT, which it never changes: nothing where that names another CA than the node
   * has trusted since, because its SuperLink was replaced, and OneGate can be asked.
   */
  async references(): Promise<Partial<Record<ReferenceName, string>>> {
    const { settings, context, oneGate, layout } = this.#guest;
    const { FL_TLS_ENABLED, FL_SSL_CA_CERTFILE, FL_SUPERLINK_ADDRESS } = settings;
    const isFree = FL_TLS_ENABLED && FL_SSL_CA_CERTFILE === '' && FL_SUPERLINK_ADDRESS === '';
    if (!oneGate || !isFree) return context.references;
    const pin = await readCaPin(layout.caPin).catch(() => undefined);
    return isOutdated(context.references.SUPERLINK_CA_CERT, pin) ? {} : context.references;
  }

  /**
   * Decides on TLS and writes the CA for Flower. What a person has stated counts; what was published is compared with
   * what was trusted before.
   *
   * @throws OneFlowerError `trust_missing`, `trust_changed`, `state_write_failed`
   */
  async decide(advertised: Advertised): Promise<void> {
    const { settings, layout, owner } = this.#guest;
    const trust = decideTrust(settings.FL_TLS_ENABLED, settings.FL_SSL_CA_CERTFILE, advertised);
    if (trust.mode === 'tls' && trust.source === 'published') {
      const kept = { file: layout.caPin, pin: await readCaPin(layout.caPin) };
      const warning = checkCa(kept, trust, advertised);
      if (warning) this.#guest.warnOnce(warning);
    }
    this.#trust = trust;
    if (trust.mode === 'insecure' && trust.warning) this.#guest.warnOnce(trust.warning);
    if (!this.ca) return;
    await ensureFolder(layout.certs, 0o700, owner);
    await writeFileAtomic(this.ca.caFile, this.ca.caPem, { mode: 0o644, owner });
  }

  /**
   * Keeps what the node was enrolled with.
   *
   * @throws OneFlowerError `state_write_failed`
   */
  async keep({ from, advertised: { vmId, endpoint } }: Found): Promise<void> {
    if (this.#trust?.mode !== 'tls') return;
    const { oneGate, layout } = this.#guest;
    // A static address is for where OneGate is not, or knows of another SuperLink.
    const isListed = from !== 'address';
    await keepCa(layout.caPin, this.#trust, vmId, async () =>
      oneGate && isListed ? findSuperLinkVm(oneGate, endpoint) : undefined,
    );
  }
}
