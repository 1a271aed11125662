import { readdirSync, readFileSync } from 'node:fs'

/** USER_HZ: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

/** Processor seconds that a process, all its threads, has used since its start; 0 once it is gone.
 * Read from /proc: the benchmarks run on Linux. */
export function cpuSeconds(pid: number): number {
  const stat = read(`/proc/${pid}/stat`)
  // The second field is the program's name in parentheses, and may hold blanks itself.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return stat === '' ? 0 : (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** Processor seconds of a process to the nanosecond, and how often its threads have waited for something and been woken. Of the
 * threads that it has now. */
export function processorUse(pid: number): { readonly seconds: number; readonly wakeUps: number } {
  let [seconds, wakeUps] = [0, 0]
  for (const thread of threads(pid)) {
    seconds += Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0]) / 1e9
    wakeUps += Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(read(`/proc/${pid}/task/${thread}/status`))?.[1] ?? 0)
  }
  return { seconds, wakeUps }
}

/** Bytes of memory of a process, shared pages counted in part (PSS); its RSS where that may not be read. */
export function memoryBytes(pid: number): number {
  const pss = kilobytes(read(`/proc/${pid}/smaps_rollup`), 'Pss')
  return (pss || kilobytes(read(`/proc/${pid}/status`), 'VmRSS')) * 1024
}

/** Kernel memory of all TCP sockets of this machine, in bytes: both ends of every loopback connection. */
export function tcpMemoryBytes(): number {
  return Number(/^TCP:.* mem (\d+)/m.exec(read('/proc/net/sockstat'))?.[1] ?? 0) * 4096
}

/** Bytes that the machine has left without swapping. */
export function memoryAvailable(): number {
  return kilobytes(read('/proc/meminfo'), 'MemAvailable') * 1024
}

/** How many descriptors this process may have open. */
export function descriptorLimit(): number {
  const soft = /^Max open files\s+(\S+)/m.exec(read('/proc/self/limits'))?.[1]
  return soft === 'unlimited' ? Infinity : Number(soft ?? 1024)
}

/** A process and its children's, such as nginx's workers. */
export function withChildren(pid: number): number[] {
  const children = read(`/proc/${pid}/task/${pid}/children`).trim().split(' ').filter(text => text !== '').map(Number)
  return [pid, ...children.flatMap(withChildren)]
}

function threads(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
  } catch {
    return []
  }
}

function kilobytes(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0)
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
