import t from 'tap'
import { noCassandra, startCassandra } from '../../support/cassandra.js'
import { storeContract } from '../store-contract.js'
import { newKeyspace, openStore, PATIENT, SMALL_BYTES } from './cassandra-stage.js'

t.setTimeout(235_000)

t.test('a store in a real Cassandra keeps the contract', { skip: noCassandra, timeout: 230_000 }, async t => {
  const cassandra = await startCassandra(t)
  for (const [name, options] of [['large buckets', {}], ['buckets of a few comments', { maxBucketBytes: SMALL_BYTES }]] as const) {
    t.test(`in ${name}`, async t => {
      storeContract(t, async t => {
        const keyspace = await newKeyspace(cassandra)
        return { open: () => Promise.resolve(openStore(t, cassandra, keyspace, { ...options, limits: PATIENT })) }
      })
    })
  }
})
