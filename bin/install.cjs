'use strict'
/*
 * Makes node_modules what package-lock.json says, when it is not. Written for Node 12 and later, like node.cjs.
 * All it prints goes to stderr: the output of `npm run -s sluice -- dsn crm` stays one line.
 */
const childProcess = require('child_process')
const fs = require('fs')
const path = require('path')

// `npm ci` takes 10 s on a fast line; on a slow one a second launch waits this long for the first.
const WAIT_MS_MAX = 15 * 60 * 1000

function modified(file) {
  try {
    return fs.statSync(file).mtimeMs
  } catch (error) {
    if (error && error.code === 'ENOENT') return undefined
    throw error
  }
}

function packagesOf(file) {
  return JSON.parse(fs.readFileSync(file, 'utf8')).packages
}

/**
 * True if what is installed is what the lock file names. npm writes node_modules/.package-lock.json last, so an
 * install that was cut off has none. Newer than the lock file is proof enough; older (a checkout touches files) asks
 * for a look inside, because reinstalling under a running test would break it for nothing.
 */
function installed(root) {
  const lock = path.join(root, 'package-lock.json')
  const hidden = path.join(root, 'node_modules', '.package-lock.json')
  const installedAt = modified(hidden)
  if (installedAt === undefined) return false
  if (installedAt >= modified(lock)) return true
  const wanted = packagesOf(lock)
  const present = packagesOf(hidden)
  return Object.keys(wanted).every(function (name) {
    if (name === '') return true
    const found = present[name]
    if (found !== undefined)
      return found.integrity === wanted[name].integrity && found.version === wanted[name].version
    // Packages for other platforms are in the lock file and not on the disk.
    return wanted[name].optional === true || wanted[name].devOptional === true || wanted[name].peer === true
  })
}

function alive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return Boolean(error) && error.code === 'EPERM'
  }
}

function sleep(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

/** Runs `work` while holding the lock file; waits for another launch that holds it. A dead holder's lock is taken. */
function locked(file, work) {
  const giveUpAt = Date.now() + WAIT_MS_MAX
  let told = false
  for (;;) {
    try {
      fs.writeFileSync(file, String(process.pid), { flag: 'wx' })
      break
    } catch (error) {
      if (!error || error.code !== 'EEXIST') throw error
    }
    const age = modified(file)
    const holder = age === undefined ? 0 : Number(readOrEmpty(file))
    // An empty file is a holder between creating and writing; a second is more than it needs.
    const abandoned = holder > 0 ? !alive(holder) : age !== undefined && Date.now() - age > 1000
    if (abandoned) removeIfThere(file)
    else if (Date.now() > giveUpAt)
      throw new Error('Another launch has been installing for too long: remove ' + file)
    else {
      if (!told) console.error('Waiting for another launch that is installing packages ...')
      told = true
      sleep(200)
    }
  }
  try {
    return work()
  } finally {
    fs.unlinkSync(file)
  }
}

function removeIfThere(file) {
  try {
    fs.unlinkSync(file)
  } catch (error) {
    if (!error || error.code !== 'ENOENT') throw error
  }
}

function readOrEmpty(file) {
  try {
    return fs.readFileSync(file, 'utf8')
  } catch (error) {
    if (error && error.code === 'ENOENT') return ''
    throw error
  }
}

/** The npm that runs us, or the one on the PATH. */
function npmCommand() {
  const running = process.env.npm_execpath
  if (running !== undefined && /npm-cli\.c?js$/.test(running)) return [process.execPath, running]
  return process.platform === 'win32' ? ['npm.cmd'] : ['npm']
}

function npmCi(root) {
  const started = Date.now()
  const command = npmCommand()
  const args = ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error']
  const done = childProcess.spawnSync(command[0], command.slice(1).concat(args), {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: process.platform === 'win32',
  })
  if (done.error !== undefined && done.error !== null) {
    console.error('Cannot run npm (' + done.error.message + '). It comes with Node: https://nodejs.org')
    return false
  }
  if (done.status !== 0) {
    console.error((done.stdout + done.stderr).trim())
    console.error('`npm ci` failed: the lines above say why.')
    return false
  }
  console.error('Installed in ' + Math.round((Date.now() - started) / 1000) + ' s.')
  return true
}

/** Installs if needed. False: it failed, and stderr says why. */
function ensureInstalled(root) {
  if (installed(root)) return true
  return locked(path.join(root, '.installing'), function () {
    if (installed(root)) return true
    console.error('Installing the packages in package-lock.json (npm ci); this happens once ...')
    return npmCi(root)
  })
}

module.exports = { ensureInstalled: ensureInstalled, installed: installed }
