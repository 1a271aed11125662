import { z } from 'zod'
import type { Client } from '../http/client-address.js'

/** A limit on what one client may have or do. */
export interface Limit {
  /** 0: any number. */
  readonly most: number
  /** Also for clients on this machine: where it was set by hand, not where it is the default. */
  readonly local: boolean
}

/** A limit's variable: a default that does not hold for clients on this machine, or what it is set to, which does. */
export function limit(fallback: number, digits = /^[0-9]{1,9}$/, rule = 'must be a whole number; 0: no limit') {
  return z
    .string()
    .regex(digits, rule)
    .transform((text): Limit => ({ most: Number(text), local: true }))
    .default({ most: fallback, local: false })
}

export function holdsFor({ most, local }: Limit, client: Pick<Client, 'local'>): boolean {
  return most > 0 && (local || !client.local)
}

export function isLimit(value: unknown): value is Limit {
  return typeof value === 'object' && value !== null && 'most' in value && 'local' in value
}
