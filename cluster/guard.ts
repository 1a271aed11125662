import { spawn, type ChildProcess } from 'node:child_process'

// The shell outlives the supervisor by a moment: its input ends when the supervisor does, for whatever reason.
const SCRIPT = 'while read -r line; do groups=$line; done; for group in $groups; do kill -s KILL -- "-$group"; done'

/** Ends all processes when the supervisor is killed: a shell knows the process groups and kills them once its input ends,
 * frozen processes included. */
export class Guard {
  #shell: ChildProcess
  #groups: readonly number[] = []
  #closed = false

  constructor() {
    this.#shell = this.#start()
  }

  /** @param groups the process groups that must not outlive the supervisor, by their leader's pid */
  protect(groups: readonly number[]): void {
    this.#groups = groups
    this.#shell.stdin?.write(`${groups.join(' ')}\n`)
  }

  /** Stops guarding; running processes go on. */
  close(): void {
    this.#closed = true
    this.#shell.stdin?.end('\n')
  }

  #start(): ChildProcess {
    const shell = spawn('sh', ['-c', SCRIPT], { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
    shell.stdin.on('error', () => {}) // the shell died: 'exit' follows
    shell.once('exit', () => {
      if (this.#closed) return
      this.#shell = this.#start()
      this.protect(this.#groups)
    })
    shell.unref()
    return shell
  }
}
