import { EventEmitter } from 'node:events'
import { Writable } from 'node:stream'
import type { Command } from 'commander'
import { run } from '../../cli/main.js'
import { Output, type Surroundings } from '../../cli/output.js'
import { program } from '../../cli/program.js'
import type { Outcome } from './program.js'

/** Where an operators' command is run: nothing in the environment and no cluster in the folder, unless given. */
export type Place = Partial<Pick<Surroundings, 'env' | 'folder'>>

/** An operators' command without a process of its own, which would take longer to start than most of them run. */
export class RunningCommand {
  stdout = ''
  stderr = ''
  /** Its exit status, once it has ended. */
  readonly ended: Promise<number>
  readonly #signals = new EventEmitter()

  constructor(argv: readonly string[], place?: Place) {
    this.ended = run(argv, {
      ...placeOf(place),
      stdout: into(text => (this.stdout += text)),
      stderr: into(text => (this.stderr += text)),
      signals: this.#signals,
    })
  }

  /** Ctrl-C. @returns its exit status */
  interrupt(): Promise<number> {
    this.#signals.emit('SIGINT')
    return this.ended
  }
}

/** Runs a command to its end. */
export async function operate(argv: readonly string[], place?: Place): Promise<Outcome> {
  const command = new RunningCommand(argv, place)
  const status = await command.ended
  return { status, stdout: command.stdout, stderr: command.stderr }
}

/** The commands, to be looked at. */
export function commands(place?: Place): Command {
  const ignored = into(() => {})
  const surroundings = { ...placeOf(place), stdout: ignored, stderr: ignored, signals: new EventEmitter() }
  return program(surroundings, new Output(surroundings))
}

function placeOf({ env = {}, folder = '/' }: Place = {}): Required<Place> {
  return { env, folder }
}

function into(take: (text: string) => void): Writable {
  return new Writable({
    decodeStrings: false,
    write: (text: string, _encoding, done) => {
      take(text)
      done()
    },
  })
}
