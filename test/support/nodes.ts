import type { DispatcherNode, EdgeNode, GatewayNode } from '../../protocol/nodes.js'

/** An edge as it would announce itself, of instance `i1`. */
export function edgeNode(id: string, given: Partial<EdgeNode> = {}): EdgeNode {
  return {
    ...dispatcherNode(id),
    publicUrl: 'http://127.0.0.1:8081',
    capacity: 1_000,
    viewers: 0,
    ...given,
  }
}

/** A dispatcher as it would announce itself, of instance `i1`. */
export function dispatcherNode(id: string, given: Partial<DispatcherNode> = {}): DispatcherNode {
  return { id, instance: 'i1', internalUrl: 'http://127.0.0.1:9081', state: 'up', startedAt: 1_750_000_000_000, version: '0.1.0', wire: 1, ...given }
}

/** A gateway as it would announce itself, of instance `i1`. */
export function gatewayNode(id: string, given: Partial<GatewayNode> = {}): GatewayNode {
  return { ...dispatcherNode(id), publicUrl: 'http://127.0.0.1:8080', viewers: 0, ...given }
}
