// Announces to a tracker, scrapes it, says goodbye, and prints what it was told: client.mjs URL INFO_HASH
import { once } from 'node:events'
import Client from 'bittorrent-tracker/client'

const [announce, infoHash] = process.argv.slice(2)
const peerId = Buffer.from('-WW0001-nodenodenode')
const left = 300000
const client = new Client({ announce, infoHash, peerId, port: 6881 })
// A failure reason, an answer that it cannot read, and silence.
client.on('warning', (error) => { throw error })
const peers = []
client.on('peer', (peer) => peers.push(peer))

client.start({ left })
const [{ complete, incomplete }] = await once(client, 'update')
client.scrape()
const [scraped] = await once(client, 'scrape')
client.stop({ left })
await once(client, 'update')
client.destroy()

console.log(JSON.stringify({
  announced: { complete, incomplete },
  peers: peers.sort(),
  scraped: { complete: scraped.complete, downloaded: scraped.downloaded, incomplete: scraped.incomplete }
}))
