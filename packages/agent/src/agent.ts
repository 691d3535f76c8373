import { type Clock, type OneFlowerError, sleep } from '@oneflower/contract';
import { type BootOutcome, type BootSurroundings, runSteps, untilAborted } from './boot/engine.ts';
import { openingSteps } from './boot/opening-steps.ts';
import { isHanging, UnderWay } from './boot/under-way.ts';
import type { Guest } from './guest.ts';
import { collectAll } from './memory.ts';
import { notReady } from './publication/attributes.ts';
import type { RoleMachine } from './role.ts';
import { agentVersion } from './version.ts';

const firstPauseMs = 5000;
const longestPauseMs = 60_000;

/** What the agent is told from outside. */
export interface AgentSignals {
  /** Ends the agent. */
  stop: AbortSignal;
  /** Resolves when the context may have changed; a new promise each time it is asked for. */
  contextChanged(): Promise<void>;
}

export interface AgentParts {
  guest: Guest;
  /** Makes the machine of the role that the context names. */
  machineOf(guest: Guest): RoleMachine;
}

/**
 * The agent's life: boots, watches, boots again when the context has changed or something was lost, and stays when a
 * boot has failed: it tries again where that can help, and waits for another context where it cannot.
 */
export class Agent {
  readonly #guest: Guest;
  readonly #machineOf: AgentParts['machineOf'];
  readonly #underWay: UnderWay;
  #machine: RoleMachine | undefined;
  #failures = 0;

  constructor({ guest, machineOf }: AgentParts) {
    this.#guest = guest;
    this.#machineOf = machineOf;
    this.#underWay = new UnderWay(guest.clock);
  }

  /**
   * Until `signals.stop` is aborted; then Flower is stopped in an orderly way.
   *
   * @throws OneFlowerError `boot-step-hangs` when a step of an aborted boot goes on: the next boot needs a fresh program.
   */
  async run(signals: AgentSignals, reboot: boolean): Promise<void> {
    this.#guest.events.emit('boot_started', { version: agentVersion, reboot });
    let hangs = false;
    try {
      while (!signals.stop.aborted) await this.#bootAndWatch(signals);
    } catch (error) {
      hangs = isHanging(error);
      throw error;
    } finally {
      // At once: ending Flower takes its time, and nobody is to start anything with this VM meanwhile.
      const withdrawn = this.#guest.publish(notReady(this.#machine?.role));
      // What hangs may hold what the role would wait for.
      if (!hangs) await this.#machine?.stop();
      await this.#guest.supervisor.stop();
      await withdrawn;
      this.#guest.stop();
      await this.#guest.events.flushed();
    }
  }

  /**
   * One boot and what follows it, until there is a reason to boot again. What the watchdog has begun it ends first, so
   * that it does not meet the next boot.
   */
  async #bootAndWatch(signals: AgentSignals): Promise<void> {
    const round = new AbortController();
    const signal = AbortSignal.any([signals.stop, round.signal]);
    void signals.contextChanged().then(() => {
      this.#guest.log.info('The context may have changed: the boot steps run again.');
      this.#guest.lastFailure = undefined;
      round.abort(new Error('context changed'));
    });
    try {
      await this.#bootThenWatch(signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      round.abort(new Error('boot again'));
    }
  }

  async #bootThenWatch(signal: AbortSignal): Promise<void> {
    const began = this.#guest.clock.now();
    const outcome = await this.#boot(signal);
    if (outcome.ready) {
      this.#failures = 0;
      this.#guest.lastFailure = undefined;
      this.#guest.events.emit('boot_ready', { seconds: (this.#guest.clock.now() - began) / 1000 });
      collectAll();
      await this.#machine?.watch(signal);
      return;
    }
    this.#guest.lastFailure = outcome.error;
    this.#guest.events.emit('boot_failed', { code: outcome.error.code, step: outcome.step });
    await this.#guest.publish(notReady(this.#machine?.role, outcome.error));
    await this.#pause(outcome.error, this.#guest.clock, signal);
  }

  async #boot(signal: AbortSignal): Promise<BootOutcome> {
    const opening = await runSteps(openingSteps, this.#guest, this.#surroundings(), signal);
    if (!opening.ready) return opening;
    if (this.#machine && this.#machine.role !== this.#guest.context.role) {
      await this.#machine.stop();
      this.#machine = undefined;
    }
    this.#machine ??= this.#machineOf(this.#guest);
    return this.#machine.boot(this.#surroundings(), signal);
  }

  #surroundings(): BootSurroundings {
    const { clock, log, events } = this.#guest;
    return {
      clock,
      log,
      underWay: this.#underWay,
      stepEnded: event => events.emit('boot_step', event),
      overdue: (error, step) => {
        events.emit('boot_failed', { code: error.code, step });
        void this.#guest.publish(notReady(this.#guest.context.role, error));
      },
    };
  }

  /** What a person has to correct is not tried again by itself; what may pass is, ever more slowly. */
  async #pause(error: OneFlowerError, clock: Clock, signal: AbortSignal): Promise<void> {
    const pause = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(this.#failures++, 10));
    if (error.fault !== 'user') {
      await sleep(clock, pause, signal);
      return;
    }
    this.#guest.log.info('Waiting for another context.');
    await untilAborted(signal);
  }
}
