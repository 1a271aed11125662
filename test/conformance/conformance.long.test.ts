import t from 'tap'
import { conform } from './conform.js'

await conform(t, true)
