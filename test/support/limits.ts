import { Registry } from 'prom-client'
import { systemClock, type Clock } from '../../runtime/clock.js'
import { networks } from '../../runtime/http/address.js'
import { Clients } from '../../runtime/http/client-address.js'
import { Connections } from '../../runtime/limits/connections.js'
import type { Limit } from '../../runtime/limits/limit.js'
import { Refusals } from '../../runtime/limits/refusals.js'
import { Replays } from '../../runtime/limits/replays.js'
import { createLog } from '../../runtime/log.js'

/** As if it were set by hand: it holds for this machine too. 0: none. */
export const set = (most = 0): Limit => ({ most, local: true })

/** Of a public port that trusts those proxies. */
export const clients = (trusted = '') => new Clients({ clock: systemClock, log: createLog('test', 'test', 'silent'), trusted: networks.parse(trusted) })

/** Where nobody asks what was refused. */
export function refusals(metrics = new Registry()): Refusals {
  return new Refusals({ clock: systemClock, log: createLog('test', 'test', 'silent'), metrics, name: 'test' })
}

export function connections({ perAddress = set(), trusted = '', room = Infinity, counted = refusals() }: { perAddress?: Limit; trusted?: string; room?: number; counted?: Refusals } = {}): Connections {
  return new Connections({ clock: systemClock, perAddress, trusted: networks.parse(trusted), room: () => room, refusals: counted })
}

export function replays(clock: Clock = systemClock): Replays {
  return new Replays({ clock, refusals: refusals() })
}
