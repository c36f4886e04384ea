#!/usr/bin/env node
'use strict'
/*
 * The published command. Runs dist/sluice.mjs with the Node that came along, or with the one at hand if it is recent
 * enough. In a checkout that has not been built it runs the source.
 */
const fs = require('fs')
const path = require('path')
const node = require('./node.cjs')

const root = path.dirname(__dirname)
const built = path.join(root, 'dist', 'sluice.mjs')
const source = path.join(root, 'src', 'cli', 'main.ts')

void node.runScript(fs.existsSync(built) || !fs.existsSync(source) ? built : source, process.argv.slice(2))
