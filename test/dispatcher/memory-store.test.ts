import t from 'tap'
import { MemoryStore } from './memory-store.js'
import { storeContract } from './store-contract.js'

// What stands in for a store in the other tests keeps the same contract.
storeContract(t, async () => {
  const store = new MemoryStore()
  return {
    async open(isHooked = false) {
      store.isHooked = isHooked
      return store
    },
  }
})
