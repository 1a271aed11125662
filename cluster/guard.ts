import { spawn, type ChildProcess } from 'node:child_process'

// The shell outlives the supervisor by a moment: its input ends when the supervisor does, however that comes about.
const SCRIPT = 'while read -r line; do groups=$line; done; for group in $groups; do kill -s KILL -- "-$group"; done'

/** Sees to it that nothing is left running when the supervisor is killed: a shell that knows which process
 * groups there are, and ends them once its input ends. It also reaches a process that is frozen. */
export class Guard {
  #shell: ChildProcess
  #groups: readonly number[] = []
  #closed = false

  constructor() {
    this.#shell = this.#start()
  }

  /** @param groups the process groups that must not outlive the supervisor, by the pid of their leader */
  protect(groups: readonly number[]): void {
    this.#groups = groups
    this.#shell.stdin?.write(`${groups.join(' ')}\n`)
  }

  /** Lets go: what runs, runs on. */
  close(): void {
    this.#closed = true
    this.#shell.stdin?.end('\n')
  }

  #start(): ChildProcess {
    const shell = spawn('sh', ['-c', SCRIPT], { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
    shell.stdin.on('error', () => {}) // it died: 'exit' tells
    shell.once('exit', () => {
      if (this.#closed) return
      this.#shell = this.#start()
      this.protect(this.#groups)
    })
    shell.unref()
    return shell
  }
}
