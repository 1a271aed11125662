#!/usr/bin/env node
// Runs one part of Live comments (node start.js cluster --port 0), or says what is missing to run it.
import { existsSync } from 'node:fs'

const entry = new URL('dist/live-comments.js', import.meta.url)

if (!existsSync(entry) || !existsSync(new URL('node_modules', import.meta.url))) {
  console.error('Live comments is not set up: run ./setup.sh first')
  process.exit(2)
}
await import(entry.href)
