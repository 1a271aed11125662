import type { DispatcherNode, ExpectedStore } from '../protocol/nodes.js'
import type { StoreFile } from './store/store-file.js'

export interface Case {
  /** Which store is expected: undefined: none yet. */
  readonly expected: ExpectedStore | undefined | 'unread'
  /** What is at our path; undefined where there is no file. */
  readonly found: StoreFile | undefined
  readonly path: string
  /** This machine, as it runs now: device and inode mean nothing elsewhere. */
  readonly machine: string
  /** What this process accepted last. */
  readonly accepted: StoreFile | undefined
  /** This process has found its store to be another than the expected one. */
  readonly wasRefused: boolean
  /** The other dispatchers that may live. */
  readonly others: readonly DispatcherNode[]
}

/** `accept`: this is the store. `create`: there is none yet: make it. `expect`: expect this one, then look again. */
export type Verdict =
  | { readonly kind: 'accept' }
  | { readonly kind: 'create' }
  | { readonly kind: 'expect'; readonly store: ExpectedStore }
  | { readonly kind: 'refuse'; readonly reason: string }

/** Whether the file at our path is the cluster's store. What differs is refused, and an operator decides: to store into
 * the wrong file loses comments that people were told are safe. */
export function judge({ expected, found, path, machine, accepted, wasRefused, others }: Case): Verdict {
  if (expected === 'unread') {
    if (found?.acceptedHere) return olderThan(found, accepted) ? refuse(older(path, found, accepted!.stored)) : { kind: 'accept' }
    return refuse('the registry has not been read yet, and this file was never accepted')
  }
  if (expected === undefined) {
    if (wasRefused) return refuse('no store is expected any more')
    return found ? { kind: 'expect', store: asExpected(found, machine) } : { kind: 'create' }
  }
  if (!found) return refuse(`${path} is missing, and store ${expected.id} is expected`)
  if (found.id !== expected.id) return refuse(`${path} is store ${found.id}, and store ${expected.id} is expected`)
  if (found.generation !== expected.generation) return refuse(`${path} is of generation ${found.generation}, and generation ${expected.generation} is expected`)
  if (found.stored < expected.stored) return refuse(older(path, found, expected.stored))
  if (olderThan(found, accepted)) return refuse(older(path, found, accepted!.stored))
  const file = fileOf(found, machine)
  if (file === expected.file) return { kind: 'accept' }
  const owner = others.find(({ store }) => store?.id === found.id && store.generation === found.generation && store.file === expected.file)
  if (owner) return refuse(`${path} is a copy: ${owner.id} has another file of the same store open`)
  return { kind: 'expect', store: { ...expected, file } }
}

/** A file as it is announced and expected. */
export function asExpected(found: StoreFile, machine: string): ExpectedStore {
  return { id: found.id, generation: found.generation, file: fileOf(found, machine), stored: found.stored }
}

function fileOf({ place }: StoreFile, machine: string): string {
  return `${machine}:${place}`
}

/** It was put in the place of one that had more. */
function olderThan(found: StoreFile, accepted: StoreFile | undefined): boolean {
  return accepted?.id === found.id && accepted.generation === found.generation && found.stored < accepted.stored
}

function older(path: string, { stored }: StoreFile, expected: number): string {
  return `${path} is older than what was stored: it has made ${stored} comments of at least ${expected}`
}

function refuse(reason: string): Verdict {
  return { kind: 'refuse', reason }
}
