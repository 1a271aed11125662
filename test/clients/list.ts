/** The stream clients that are tried, and how each is built and run. */
export interface Language {
  readonly name: string
  /** What must be there to build it. */
  readonly program: string
  /** Commands that build it, in a folder that holds a copy of its sources. */
  readonly build: readonly (readonly string[])[]
  readonly run: readonly string[]
}

export interface StreamClient {
  /** As the program of its language knows it. */
  readonly name: string
  readonly language: keyof typeof LANGUAGES
  /** Where it comes from, with its version. */
  readonly from: string
  /** Whether it decodes gzip. */
  readonly gzip: boolean
}

export const LANGUAGES = {
  javascript: { name: 'JavaScript', program: 'npm', build: [['npm', 'install', '--no-audit', '--no-fund', '--loglevel=error']], run: ['node', 'clients.mjs'] },
  python: { name: 'Python', program: 'python3', build: [['python3', '-m', 'venv', 'env'], ['env/bin/pip', 'install', '--quiet', '--requirement', 'requirements.txt']], run: ['env/bin/python', 'clients.py'] },
  go: { name: 'Go', program: 'go', build: [['go', 'build', '-o', 'clients', '.']], run: ['./clients'] },
  java: { name: 'Java', program: 'mvn', build: [['mvn', '--quiet', '--batch-mode', 'package', 'dependency:copy-dependencies', '-DoutputDirectory=target/lib']], run: ['java', '-cp', 'target/classes:target/lib/*', 'Clients'] },
  rust: { name: 'Rust', program: 'cargo', build: [['cargo', 'build', '--quiet']], run: ['target/debug/clients'] },
} as const satisfies Record<string, Language>

export const CLIENTS: readonly StreamClient[] = [
  { name: 'eventsource', language: 'javascript', from: 'npm eventsource 4.1.1', gzip: true },
  { name: 'eventsource 2', language: 'javascript', from: 'npm eventsource 2.0.2', gzip: false },
  { name: 'undici', language: 'javascript', from: 'npm undici 7.30.2', gzip: true },
  { name: 'launchdarkly-eventsource', language: 'javascript', from: 'npm launchdarkly-eventsource 2.2.0', gzip: false },
  { name: 'fetch-event-source', language: 'javascript', from: 'npm @microsoft/fetch-event-source 2.0.1', gzip: true },
  { name: 'extended-eventsource', language: 'javascript', from: 'npm extended-eventsource 2.1.0', gzip: true },
  { name: 'fetch by hand', language: 'javascript', from: 'Node', gzip: true },
  { name: 'requests iter_lines', language: 'python', from: 'PyPI requests 2.34.2', gzip: true },
  { name: 'requests chunks', language: 'python', from: 'PyPI requests 2.34.2, sseclient-py 1.9.0', gzip: true },
  { name: 'sseclient-py', language: 'python', from: 'PyPI sseclient-py 1.9.0', gzip: true },
  { name: 'urllib3', language: 'python', from: 'PyPI urllib3 2.8.0', gzip: true },
  { name: 'httpx-sse', language: 'python', from: 'PyPI httpx-sse 0.4.3', gzip: true },
  { name: 'launchdarkly-eventsource (Python)', language: 'python', from: 'PyPI launchdarkly-eventsource 1.7.4', gzip: true },
  { name: 'aiohttp-sse-client2', language: 'python', from: 'PyPI aiohttp-sse-client2 0.3.0', gzip: true },
  { name: 'net/http', language: 'go', from: 'Go', gzip: true },
  { name: 'r3labs/sse', language: 'go', from: 'Go r3labs/sse 2.10.0', gzip: true },
  { name: 'tmaxmax/go-sse', language: 'go', from: 'Go tmaxmax/go-sse 0.12.0', gzip: true },
  { name: 'launchdarkly/eventsource', language: 'go', from: 'Go launchdarkly/eventsource 1.11.0', gzip: true },
  { name: 'donovanhide/eventsource', language: 'go', from: 'Go donovanhide/eventsource of 2021-08-30', gzip: true },
  { name: 'okhttp-sse', language: 'java', from: 'Maven okhttp-sse 4.12.0', gzip: true },
  { name: 'okhttp-eventsource', language: 'java', from: 'Maven okhttp-eventsource 4.1.1', gzip: true },
  { name: 'java.net.http', language: 'java', from: 'the JDK', gzip: false },
  { name: 'reqwest-eventsource', language: 'rust', from: 'crates reqwest-eventsource 0.6', gzip: true },
  { name: 'reqwest', language: 'rust', from: 'crates reqwest 0.12', gzip: true },
]
