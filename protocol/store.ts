/** An operator's word on a dispatcher's file, at `/internal/store`. `accept`: it is the store, as it is; `restore`: the same,
 * of a new generation, since it may lack what was stored; `create`: a new file, where there is none. */
export const STORE_ACTIONS = ['accept', 'restore', 'create'] as const
export type StoreAction = (typeof STORE_ACTIONS)[number]
