// The two functions of React that react.ts uses, so that it compiles where React's types are not installed.
declare module 'react' {
  export function useState<T>(first: T): [T, (next: T | ((now: T) => T)) => void]
  export function useEffect(effect: () => (() => void) | void, dependencies: readonly unknown[]): void
}
