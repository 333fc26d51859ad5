// The function `replicate` of dynamodb-replicator, called with each page of a stream, as Lambda would call it.
//
//     follow ENDPOINT STREAM TABLE CHANGES
//
// Begins at the oldest record. The last line printed is the seconds that the changes took, without the start.
'use strict';

const http = require('http');
const AWS = require('aws-sdk');
const replicator = require('../index.js');

const PAGE = 1000; // records: DynamoDB Streams' most
const [endpoint, stream, table, changes] = process.argv.slice(2);
const region = stream.split(':')[3]; // arn:aws:dynamodb:REGION:…

Object.assign(process.env, { ReplicaTable: table, ReplicaRegion: region, ReplicaEndpoint: endpoint });
// As its own agent, for an endpoint without TLS.
const { maxSockets, keepAliveMsecs } = replicator.agent;
replicator.agent = new http.Agent({ keepAlive: true, maxSockets, keepAliveMsecs });

const streams = new AWS.DynamoDBStreams({ endpoint, region });

async function main() {
    const described = await streams.describeStream({ StreamArn: stream }).promise();
    const [shard] = described.StreamDescription.Shards;
    const where = { StreamArn: stream, ShardId: shard.ShardId, ShardIteratorType: 'TRIM_HORIZON' };
    let iterator = (await streams.getShardIterator(where).promise()).ShardIterator;
    let left = Number(changes);
    const began = process.hrtime.bigint();
    while (left > 0) {
        const page = await streams.getRecords({ ShardIterator: iterator, Limit: Math.min(PAGE, left) }).promise();
        if (page.Records.length) await replicate(page);
        left -= page.Records.length;
        iterator = page.NextShardIterator;
    }
    console.log(Number(process.hrtime.bigint() - began) / 1e9);
}

function replicate(event) {
    return new Promise((resolve, reject) => {
        replicator.replicate(event, {}, (error) => (error ? reject(error) : resolve()));
    });
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
