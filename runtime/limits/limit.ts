import { z } from 'zod'
import type { Client } from '../http/client-address.js'

/** A limit per client. */
export interface Limit {
  /** 0: no limit. */
  readonly most: number
  /** Whether it also holds for clients on this machine: true if it was configured, false for the default. */
  readonly local: boolean
}

/** A variable for a limit. The default does not hold for clients on this machine; a configured value does. */
export function limit(fallback: number, digits = /^[0-9]{1,9}$/, rule = 'must be a whole number; 0: no limit') {
  return z
    .string()
    .regex(digits, rule)
    .transform((text): Limit => ({ most: Number(text), local: true }))
    .default({ most: fallback, local: false })
}

/** How much of a limit a /64 (or an IPv4 address), a /56 and a /48 may use: all addresses of one customer together hardly
 * more than one. */
export const SHARES_OF_LIMIT = [1, 1.5, 2] as const

export function holdsFor({ most, local }: Limit, client: Pick<Client, 'local'>): boolean {
  return most > 0 && (local || !client.local)
}

export function isLimit(value: unknown): value is Limit {
  return typeof value === 'object' && value !== null && 'most' in value && 'local' in value
}
