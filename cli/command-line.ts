import { resolve } from 'node:path'
import { Command } from 'commander'
import { calledAs } from '../runtime/called-as.js'
import { readConfig } from '../runtime/config.js'
import type { InternalClient } from '../runtime/peers/client.js'
import type { ProofRule } from '../runtime/peers/proven-peers.js'
import { internalProof } from '../runtime/variables.js'
import { connectString } from './arguments.js'
import type { Reading } from './connection.js'
import { gatewayAddress, type GatewayAddress } from './gateway-address.js'
import { harmlessIn, harmlessJson, type Output, type Surroundings } from './output.js'
import { personToken, type PersonFlags } from './person-token.js'
import { AUTHOR_TOKEN, dataFolder, INTERNAL_TOKEN, readFrom } from './running-cluster.js'
import { storePath } from './store-path.js'
import { zookeeperAddress, type ZookeeperAddress, type ZookeeperFlags } from './zookeeper-address.js'

export interface GatewayFlags extends PersonFlags {
  readonly gateway?: string
}

/** What all commands have in common: the options before their own, whom they ask, and how they answer. */
export class CommandLine {
  /** The program itself, whose subcommands the others are. */
  readonly all: Command
  /** How it was called, for examples. */
  readonly self: string
  readonly env: NodeJS.ProcessEnv
  readonly folder: string
  readonly out: Output

  constructor({ env, folder, stdout, stderr }: Surroundings, out: Output) {
    this.env = env
    this.folder = folder
    this.out = out
    this.self = calledAs('registry', env)
    this.all = new Command(this.self)
      .description('Inspects the cluster: its nodes and watched videos by ZooKeeper, and comments as a viewer sees them.')
      .option('--data <FOLDER>', 'data folder of a local cluster, for its addresses and its secrets')
      .option('--zookeeper <HOST:PORT/CHROOT>', 'ZooKeeper\'s address (else --data, ZOOKEEPER_CONNECT, ./data; only for reading: 127.0.0.1:2181/live-comments)', connectString)
      .option('--zookeeper-auth-file <FILE>', 'file with the USER:PASSWORD for it (else ZOOKEEPER_AUTH, ZOOKEEPER_AUTH_FILE, ./data/zookeeper-auth)')
      .option('--json', 'print only JSON: the answer on stdout, an error on stderr')
      .configureHelp({ showGlobalOptions: true })
      .configureOutput({ writeOut: text => stdout.write(text), writeErr: text => out.json || stderr.write(text), getOutHelpWidth: () => stdout.columns ?? 80 })
      .showHelpAfterError('(--help lists commands and options)')
      .helpCommand(false)
      .exitOverride()
  }

  /** Adds a command. @param examples its arguments, each of which works against `npm start` */
  command(name: string, description: string, ...examples: string[]): Command {
    return this.all.command(name).description(description).addHelpText('after', this.examples(examples.map(example => `${name} ${example}`.trimEnd())))
  }

  examples(lines: readonly string[]): string {
    return `\nExamples:\n${lines.map(line => `  ${this.self} ${line}\n`).join('')}`
  }

  /** Whether the answer is to be JSON. */
  get json(): boolean {
    return this.#options().json === true
  }

  /** Prints `value` as JSON, or what `text` makes of it. Its texts may be other people's. */
  print<T>(value: T, text: (value: T) => string): Promise<void> {
    return this.out.write(this.json ? this.jsonLine(value) : text(harmlessIn(value)))
  }

  jsonLine(value: unknown): string {
    return `${harmlessJson(value)}\n`
  }

  note(line: string): void {
    this.out.note(line)
  }

  /** The data folder of a local cluster, if one is there. */
  data(): ReturnType<typeof dataFolder> {
    return dataFolder(this.#options().data, this.folder)
  }

  address(): ZookeeperAddress {
    return zookeeperAddress(this.#options(), this.env, this.data())
  }

  reading(): Reading {
    return { address: this.address(), note: line => this.note(line) }
  }

  /** The gateway, to be asked in a person's name. */
  gatewayOf({ gateway, token, tokenFile }: GatewayFlags): GatewayAddress {
    const address = gatewayAddress(gateway, this.data())
    return { ...address, token: personToken({ token, tokenFile: tokenFile && resolve(this.folder, tokenFile) }, this.env) ?? (address.isOfFolder ? readFrom(this.data(), AUTHOR_TOKEN) : undefined) }
  }

  /** The gateway of a command that only reads, which may be the default one. */
  readingGateway(flags: GatewayFlags): GatewayAddress {
    const address = this.gatewayOf(flags)
    if (address.isDefault) this.note(`the gateway at ${address.url} (the default)`)
    return address
  }

  storeOf(flag: string | undefined): ReturnType<typeof storePath> {
    return storePath(flag, this.env, this.data(), this.folder)
  }

  /** Runs `task` with what calls the parts. A cluster of npm start proves itself, unless told otherwise. */
  calling<T>(flag: string | undefined, task: (client: InternalClient) => Promise<T>): Promise<T> {
    const { INTERNAL_PROOF } = readConfig(this.env, { INTERNAL_PROOF: internalProof.optional() })
    const given = flag ?? this.env['INTERNAL_TOKEN']
    return withCaller(given || readFrom(this.data(), INTERNAL_TOKEN), INTERNAL_PROOF ?? (given ? 'prefer' : 'require'), task)
  }

  #options(): ZookeeperFlags & { json?: true; data?: string } {
    return this.all.opts()
  }
}

async function withCaller<T>(token: string | undefined, proof: ProofRule, task: (client: InternalClient) => Promise<T>): Promise<T> {
  // Only few commands need the HTTP client, a third of all code that would be loaded.
  const { InternalClient } = await import('../runtime/peers/client.js')
  const client = new InternalClient(token, { proof })
  try {
    return await task(client)
  } finally {
    await client.close()
  }
}
