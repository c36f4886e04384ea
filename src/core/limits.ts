/** Every limit of the gateway in one place, each with its reason. Bytes, milliseconds or counts, as the name says. */
export const LIMITS = {
  /** The configuration file: thousands of rules fit, and reading it stays under a second. */
  configBytesMax: 1024 * 1024,
  /** Levels in the configuration: the deepest that means anything has ten. */
  configDepthMax: 64,
  /** Problems reported at once: more than anybody reads. */
  configProblemsMax: 100,
  /** Rules of a configuration, and Cedar policies beside them: compiling so many takes about a second. */
  rulesMax: 1_000,
  /** Budgets of a configuration: each that is about somebody is looked at with every row. */
  budgetsMax: 100,
  /** Of one condition or Cedar policy. The engine's stack is gone at 400 operators or 120 brackets, and then for good. */
  conditionOperatorsMax: 150,
  conditionDepthMax: 24,
  /** A start-up packet: PostgreSQL itself refuses more than 10,000 bytes. */
  startupBytesMax: 10_000,
  /** A message during authentication: PostgreSQL's own limit for a token (PG_MAX_AUTH_TOKEN_LENGTH). */
  authMessageBytesMax: 65_535,
  /** Rounds of PBKDF2 a server may ask of us: 0.3 s of one core; PostgreSQL's default is 4,096. */
  scramIterationsMax: 600_000,
  /** From accepted socket to authenticated: long enough for a slow TLS handshake over a bad line. */
  handshakeMs: 20_000,
  /** One statement text: longer ones are not written by hand and cost more than 200 ms to parse. */
  statementBytesMax: 1024 * 1024,
  /** Statements up to this size are parsed inline; longer ones in a worker with a stack of its own. */
  statementInlineBytesMax: 2 * 1024,
  /** The text of a view, read once in passing: this takes about 20 ms. What a longer one derives is not followed. */
  definitionInlineBytesMax: 64 * 1024,
  /** How many queries, parts of one statement and rounds of its recursive ones, are followed: at worst 100 ms of work. */
  queriesWalkedMax: 2_000,
  /** How deep a tree may nest (one level of an expression is two) before its statement counts as opaque. */
  treeDepthMax: 1_000,
  /** The tree of a long statement as JSON, condensed: about 10 ms to read and look through, while others wait. */
  treeBytesMax: 512 * 1024,
  /** One long statement in the parser worker; the longest allowed takes about 200 ms. */
  parseMs: 5_000,
  /** Long statements waiting for the parser worker, of all sessions together. */
  parsesWaitingMax: 1_000,
  parsesWaitingBytesMax: 64 * 1024 * 1024,
  /** A client message that has to be reassembled (Bind with its parameters). CopyData is never reassembled. */
  messageBytesMax: 64 * 1024 * 1024,
  /** PostgreSQL's own limit for a message from the server: 1 GiB less one. */
  upstreamMessageBytesMax: 1024 * 1024 * 1024 - 1,
  /** Unmasked bytes of one row that must be kept until its last masked cell has been seen. */
  rowBytesMax: 16 * 1024 * 1024,
  /** A protected value that is partly shown; a longer one is hidden whole. */
  partialCellBytesMax: 64 * 1024,
  /** Commands sent ahead of their answers in one session (pipelining). */
  pendingMax: 100_000,
  /** Prepared statements and portals a session may keep open. */
  namedObjectsMax: 10_000,
  /** Bytes a client may send ahead while its command is held; then reading stops. */
  heldBytesMax: 64 * 1024,
  /** One session's share of an event-loop turn. */
  turnBytesMax: 256 * 1024,
  turnMs: 2,
  /** One read of a socket: large enough that a bulk result costs few calls, small enough to stay in the cache. */
  readBytes: 64 * 1024,
  /** Silence on a socket before TCP asks whether the peer is still there. */
  keepAliveMs: 60_000,
  /** Certificates with their keys that are kept ready: those of listeners and upstreams, and the ones they replaced. */
  tlsContextsMax: 256,
  /** Addresses of one name that are tried in turn. */
  dialAddressesMax: 8,
  /** Sockets the kernel completes before we accept them; Linux caps it at net.core.somaxconn, 4,096 by default. */
  acceptBacklog: 4_096,
  /** Bytes queued towards one slow reader before reading from the other side pauses. */
  outboxBytesMax: 1024 * 1024,
  /** Sessions of one gateway, and unauthenticated sockets of one source address. */
  sessionsMax: 20_000,
  /** Of one identity on one database connection: enough for a pool, and less than a server's usual hundred. */
  sessionsPerIdentity: 50,
  /** The same for HTTP, where a session costs the upstream nothing and clients open sockets as they please. */
  httpSessionsPerIdentity: 1_000,
  handshakesPerSourceMax: 2_000,
  /** The shortest and longest life of a minted credential. */
  credentialTtlMsMin: 1_000,
  credentialTtlMsMax: 24 * 60 * 60 * 1000,
  /** Live minted credentials of one gateway, and of one identity: more is a leak or a loop, and each is kept in memory. */
  credentialsMax: 50_000,
  credentialsPerIdentityMax: 2_000,
  /** Agent for agent for ... for person: longer chains are not understood by whoever reads them. */
  chainMax: 8,
  /** One secret: a password, a token, or a private key with its chain of certificates in PEM. */
  secretBytesMax: 64 * 1024,
  /** A command that prints a secret: vaults answer within a second or two, or are down. */
  secretCommandMs: 10_000,
  /**
   * What a command printed, or what Vault only keeps, is used this long, so that a busy connection does not ask with each
   * session; at three quarters of it, it is read again in the background.
   */
  secretKeptMs: 60_000,
  /** One request to Vault, its answer, and the time until what failed is tried again. */
  vaultAnswerMs: 5_000,
  vaultAnswerBytesMax: 256 * 1024,
  vaultRetryMs: 1_000,
  /** Paths of Vault that are kept: a configuration has no more secrets. */
  vaultPathsMax: 1_000,
  /** Statements waiting for the store's disk, and how many share one commit. */
  storeQueueMax: 20_000,
  storeBatchMax: 1_000,
  /** A backup tool may hold the store's file for a moment. */
  storeBusyMs: 5_000,
  /** Of one node to a store in PostgreSQL, besides the one that listens: a hundred nodes would fill a server. */
  storeConnectionsMax: 8,
  /** Connecting to it, and one statement: what takes longer is away. */
  storeConnectMs: 3_000,
  storeStatementMs: 5_000,
  /** One statement of a migration, or the wait for another node's: it may rewrite a large table. */
  storeMigrationMs: 10 * 60_000,
  /** A look at it for changes, once a second: half of what revocation may take. */
  storeLookMs: 1_000,
  storeLookAnswerMs: 3_000,
  /** Not knowing what others changed: after so long no session is opened, and then the live ones end. */
  storeBehindMs: 5_000,
  storeAwayMs: 60_000,
  /** Nodes named in an answer. */
  nodesListedMax: 1_000,
  /** Clocks that differ by more are told of. */
  clockSkewMs: 1_000,
  /** What `sluice dsn` and a token exchange give when nobody says how long. */
  credentialTtlMs: 15 * 60 * 1000,
  /** A token of an issuer: the largest in use, with hundreds of groups, stay under 12 KiB. */
  tokenBytesMax: 16 * 1024,
  /** Groups of one identity, and the length of a name; longer ones are mistakes or attacks. */
  groupsMax: 1_000,
  identityNameMax: 256,
  /** An issuer's answer (its metadata, its keys), and how long it may take. */
  issuerAnswerBytesMax: 256 * 1024,
  issuerAnswerMs: 5_000,
  /** Keys of an issuer are fetched again after this; used on while it does not answer; and asked for at most so often. */
  issuerKeysMs: 10 * 60 * 1000,
  issuerKeysStaleMs: 60 * 60 * 1000,
  issuerKeysCooldownMs: 30_000,
  issuerKeysRetryMs: 5_000,
  /** Verified tokens kept, and for how long at most, so that a withdrawn key stops counting. */
  tokensKeptMax: 10_000,
  tokenKeptMs: 5 * 60 * 1000,
  /** A one-time code for enrolling: handed over the same day, or asked for again. */
  invitationMs: 24 * 60 * 60 * 1000,
  invitationsOpenMax: 1_000,
  /** Wrong codes in a row before a person is locked; then twice as long with each, up to the second. */
  loginFailuresMax: 5,
  loginLockMs: 30_000,
  loginLockMsMax: 60 * 60 * 1000,
  /** How often an address that has not failed may try while a person is locked; and addresses of earlier logins that are kept. */
  loginBesideMs: 60_000,
  loginSourcesKept: 8,
  /** Inline wait for an approval; most agents' shells give up after two minutes. */
  patienceMs: 45_000,
  patienceMsMax: 10 * 60 * 1000,
  /** Programs of a connection with a patience of their own. */
  patientProgramsMax: 100,
  /** How often a client that waits is told so: agents' shells end what is silent for long. */
  heldToldMs: 12_000,
  /** The same where so many wait that they are told one after the other. */
  heldToldMsMax: 15_000,
  /** An approval request nobody answered. */
  ticketMs: 60 * 60 * 1000,
  /** From approval to use: time to see the answer and run the command again, not to forget what was approved. */
  approvalUsableMs: 15 * 60 * 1000,
  /** An answer needs a login this fresh: whoever sits at a screen left open is not the approver. */
  loginFreshMs: 5 * 60 * 1000,
  /** Characters of a person's reason for an answer: a paragraph, shown in one piece wherever it appears. */
  answerReasonMax: 1_000,
  /** Answered requests kept at hand for listings; older ones are in the recording. */
  ticketsAnsweredKept: 1_000,
  /** Bytes of a command's text and parameters that people are asked about: more than a book is read by nobody. */
  askedBytesMax: 1024 * 1024,
  /** Open approval requests of one identity: more is a flood. */
  ticketsOpenMax: 50,
  /** Planners that are asked at once how many rows commands come to which people are asked about. */
  guessesMax: 8,
  /** Steps of one route, and people of one step: more are a committee. */
  routeStepsMax: 8,
  routePeopleMax: 20,
  /** Uses of one approval: what is approved for a time is still not without end. */
  approvalUsesMax: 1_000,
  /** Held commands that are remembered to be tried out; and the bytes of one, its parameters included. */
  previewsOffered: 500,
  previewBytesMax: 256 * 1024,
  /** Changed rows that an approval can be for: more is nothing that a person has looked at. */
  effectRowsMax: 1_000_000_000,
  /** An approval for several uses of one command, and one for a session that does not end. */
  approvalTimesMs: 60 * 60 * 1000,
  approvalSessionMs: 8 * 60 * 60 * 1000,
  /** Access that is granted for a time, and that a person takes in an emergency. */
  accessMsMax: 24 * 60 * 60 * 1000,
  emergencyMsMax: 60 * 60 * 1000,
  /** How long who floods approvers can be kept from asking. */
  muteMsMax: 24 * 60 * 60 * 1000,
  /** Channels of approvals, and mailboxes of one. */
  channelsMax: 32,
  mailboxesMax: 50,
  /** Characters of a statement with its parameters in a webhook: most receivers take 64 KiB, and escaping may double it. */
  notificationTextMax: 24 * 1024,
  /** Notifications that wait for one channel: beyond it nothing more is told there until some have gone out. */
  notificationsWaitingMax: 10_000,
  /** The wait for a channel's answer, and how long an answer may be. */
  notificationAnswerMs: 10_000,
  notificationAnswerBytesMax: 64 * 1024,
  /** Who sends a notification has it alone for this long: several times what sending takes. */
  notificationLeaseMs: 60_000,
  /** Between attempts: the first, and the longest; after a refusal; and when it is given up. */
  notificationRetryMs: 1_000,
  notificationRetryMsMax: 5 * 60 * 1000,
  notificationParkedMs: 10 * 60 * 1000,
  notificationMsMax: 24 * 60 * 60 * 1000,
  /** A message that is under way when the gateway stops. */
  notificationStopMs: 2_000,
  /** How often each node looks for what others left. */
  notificationLookMs: 10_000,
  /** Requests that ended this long ago are announced by nobody any more. */
  notificationPastMs: 60 * 60 * 1000,
  /** What was told is remembered this long, so that it is told once. */
  notificationsKeptMs: 7 * 24 * 60 * 60 * 1000,
  /** Tickets named in a message that stands for many. */
  digestTicketsMax: 20,
  /** How old a signed answer may be, and how far ahead its clock: Slack's and Standard Webhooks' own measure. */
  channelAnswerMs: 5 * 60 * 1000,
  /** Result bytes kept per command in the recording, and as many of what its client sends to it while it runs. */
  resultBytesKept: 64 * 1024,
  /** A journal file is cut and a new one begun at this size. */
  journalFileBytesMax: 64 * 1024 * 1024,
  /** And after this time: a session file is deleted only once the journal holds nothing of it. */
  journalFileMsMax: 24 * 60 * 60 * 1000,
  /** Rules by which payloads are removed: each session file that they are about names those that were applied to it. */
  retentionRulesMax: 16,
  /** Entries that wait in memory for the next write of the journal; beyond it they are written early, or refused. */
  journalWaitingBytesMax: 16 * 1024 * 1024,
  /** One page of the list of sessions. */
  sessionsListedMax: 1_000,
  /** One frame of the journal. */
  frameBytesMax: 128 * 1024 * 1024,
  /** Either part of a chunk of a sealed session file: at least one frame has to fit, compressed or not. */
  chunkBytesMax: 144 * 1024 * 1024,
  /** Entries of one decision cache; beyond it the oldest go. */
  decisionsCachedMax: 10_000,
  /** Shapes of statements whose relevant literals are known; each at most the size of an inline statement. */
  shapesLearnedMax: 10_000,
  /** Entries of the log are at most what 16 bits count (C2SP tlog-tiles), and those appended together this many and large. */
  logEntryBytesMax: 65_535,
  logBatchEntriesMax: 10_000,
  logBatchBytesMax: 16 * 1024 * 1024,
  /** Names of logs and of keys: C2SP's cosignatures count them in 8 bits. */
  keyNameBytesMax: 255,
  /** A signed note: the 16 signatures that must be accepted, at the 5 KB of post-quantum ones, and room beside. */
  noteBytesMax: 128 * 1024,
  noteSignaturesMax: 64,
  /** Hashes of a consistency proof that a witness takes (C2SP tlog-witness). */
  consistencyProofHashesMax: 63,
  /** Logs that one witness watches, and requests that it works on at once. */
  witnessLogsMax: 1_000,
  witnessRequestsMax: 64,
  /** Witnesses that one log has: each is asked with every round. */
  witnessesMax: 16,
  /** From a witness's first byte in to its last byte out, and the wait of a log for one witness. */
  witnessRequestMs: 10_000,
  witnessAnswerMs: 5_000,
  /** Outlets that one gateway streams its events to: each reads the journal for itself. */
  outletsMax: 8,
  /** Characters of a statement in an event; of all statements under way, beyond which each gets a thousand; of an event. */
  streamTextMax: 32 * 1024,
  streamTextHeldMax: 32 * 1024 * 1024,
  streamEventCharactersMax: 256 * 1024,
  /** Events of one request, and their bytes: collectors in use take a megabyte at least. Of more, as much as one event has. */
  streamBatchEventsMax: 500,
  streamBatchBytesMax: 512 * 1024,
  /** Characters of events that are read ahead of what is delivered. */
  streamReadAheadMax: 4 * 1024 * 1024,
  /** The wait for an outlet's answer, and how long an answer may be: a bulk answer has a line for each event. */
  streamAnswerMs: 30_000,
  streamAnswerBytesMax: 4 * 1024 * 1024,
  /** Between attempts: the first, and the longest; the longest that a receiver may ask for; and after a refusal. */
  streamRetryMs: 1_000,
  streamRetryMsMax: 5 * 60 * 1000,
  streamRetryAfterMsMax: 60 * 60 * 1000,
  streamParkedMs: 10 * 60 * 1000,
  /** Sealing what is left when the gateway stops; the rest is done when it starts again. */
  sealAtStopMs: 3_000,
  /** HTTP request head. */
  httpHeadBytesMax: 32 * 1024,
  /** A JSON document that is masked in memory. */
  jsonDocumentBytesMax: 8 * 1024 * 1024,
  /** Arrays and objects inside each other in a JSON body that is masked; people and programs stay below twenty. */
  jsonDepthMax: 512,
  /** Steps of one path into JSON, and the places that all paths of a connection may tell apart. */
  jsonPathStepsMax: 64,
  jsonPlacesMax: 10_000,
  /** A json cell that is masked at paths inside: more would hold up others for over 50 ms, and is hidden whole. */
  jsonCellBytesMax: 4 * 1024 * 1024,
  /** A text in a body that is masked, as it is kept to be looked at: longer ones are hidden whole, or looked at in parts. */
  bodyTextBytesMax: 64 * 1024,
  /** What a detector finds may be this long (UTF-16 units): so much of a long text is kept from one part to the next. */
  detectorWindowChars: 4 * 1024,
  /** JSON in a text in JSON in a text: more is hidden whole where paths lead into it. */
  jsonInTextLevelsMax: 4,
  /** The head of a table, and the name of a field in a form. */
  bodyNamesBytesMax: 64 * 1024,
  /** Fields of one row of a table. */
  csvFieldsMax: 4_096,
  /** The beginning of a masked answer waits for this long, or this many bytes, for what may still refuse it in words. */
  httpAnswerHeldBytes: 64 * 1024,
  httpAnswerHeldMs: 100,
  /** A compressed answer that is masked: as long as this unpacked, and from the first MiB on this many times its bytes. */
  httpDecodedBytesMax: 1024 * 1024 * 1024,
  httpDecodedRatioMax: 250,
  httpDecodedFreeBytes: 1024 * 1024,
  /** Content codings on top of each other. */
  httpCodingsMax: 2,
  /** Of an answer, what has come and was not taken by its client: then the upstream is not read on. */
  httpAnswerWaitingBytes: 256 * 1024,
  /** A body of a request that is judged with it, because something asks for it. */
  httpRequestBodyBytesMax: 1024 * 1024,
  /** A body that is said to be no longer is taken whole, whoever asks for it: about what one read of a socket brings. */
  httpShortBodyBytes: 64 * 1024,
  /** A body that is taken whole, to its last byte; of one that streams, one piece after the other. */
  httpBodyMs: 60_000,
  /** The rest of a body that nobody wants: read for so long before the refusal, so that the line can be used again; and behind it. */
  httpBodyRestMs: 100,
  httpBodyLingerMs: 1_000,
  /** An OpenAPI document or a GraphQL schema: those of the largest public APIs have some ten million bytes. */
  apiDescriptionBytesMax: 16 * 1024 * 1024,
  /** Unfolded aliases of a YAML document: each of them may have others in it. */
  apiDescriptionAliasesMax: 100,
  /** Schemas within one another, and labelled places of one answer; beyond either, names are labelled wherever they stand. */
  apiSchemaDepthMax: 60,
  apiLabelsMax: 500,
  /** Fields of a body that rules may read, UTF-16 units of a value, and of a name with all names around it: more is no form that a person fills in. */
  bodyFieldsMax: 256,
  bodyFieldCharsMax: 256,
  bodyFieldNameCharsMax: 1_024,
  /** One GraphQL document: the largest that tools make, the question for a whole schema, has four hundred tokens. */
  graphqlTokensMax: 4_000,
  /** Fields and fragments of an operation where each fragment counts as often as it is used: judging so many takes milliseconds. */
  graphqlFieldsMax: 5_000,
  /** Levels of fields, unless a connection says less; the question for a whole schema has fifteen. */
  graphqlDepthMax: 30,
  /** Labelled fields of one operation: each is a path that the answer is looked through for. */
  graphqlLabelledMax: 500,
  graphqlBatchMax: 20,
  /** Documents registered with a connection. */
  graphqlPersistedMax: 10_000,
  /** Hosts by which clients name connections, of either kind: a listener with more of them has one wildcard for them. */
  httpHostsMax: 1_000,
  /** Places in which a client may show the gateway's token; an SDK has one or two. */
  httpSlotsMax: 8,
  /** So long others may have to wait while one request is looked through. */
  outwardSliceMs: 5,
  /** Secrets of the configuration are read anew after that long, where what goes out is searched for them. */
  outwardSecretsKeptMs: 60_000,
  /** An answer of the gateway's own about a connection: the description of a large API. */
  httpOwnAnswerBytesMax: 4 * 1024 * 1024,
  /** Questions to the gateway itself that one identity may ask of a connection: so many at once, and so many in a second. */
  httpOwnQuestionsMax: 20,
  httpOwnQuestionsPerSecond: 5,
  /** Connections of the gateway to one upstream; and requests to it that one identity may have on their way: half of them. */
  httpUpstreamConnectionsMax: 256,
  httpRequestsPerIdentityMax: 128,
  /** A client that takes nothing of its answer for so long is hung up: others wait for the connection that it holds. */
  httpClientStallMs: 60_000,
  /** Requests of one credential on one socket at once: pipelines are shorter, and streams of one client wait for each other. */
  httpRequestsPerSocketMax: 64,
  /** Fields of a request in HTTP/2; `node:http` has limits of its own. */
  http2FieldsMax: 128,
  /** What node and nghttp2 keep for one line in HTTP/2, in MiB. */
  http2LineMiBMax: 8,
  /** Frames that are none, and streams beyond the limit: then the line ends. */
  http2InvalidFramesMax: 100,
  http2RefusedStreamsMax: 100,
  /** Streams that a client opens and resets (CVE-2023-44487): so many at once, and each second; then the line ends. */
  http2ResetsAtOnceMax: 128,
  http2ResetsPerSecondMax: 32,
  /** A message of a WebSocket, which is looked at as a whole, and the frames of one. */
  webSocketMessageBytesMax: 1024 * 1024,
  webSocketFragmentsMax: 1_024,
  /** Of a WebSocket, what has come from one side and was not taken by the other: then the first is not read on. */
  webSocketWaitingBytes: 256 * 1024,
  /** Both sides of a WebSocket are asked so often whether they are still there; who says nothing until the second time is not. */
  webSocketBeatMs: 30_000,
  /** From the end of a WebSocket to the cut of its lines: time for the other side to say that it has understood. */
  webSocketFarewellMs: 1_000,
  /** Subprotocols that a client offers. */
  webSocketProtocolsMax: 16,
  /** A secret for an upstream: answers are searched for it, and fewer characters would be found in any. Fields hold no more. */
  upstreamSecretCharactersMin: 8,
  upstreamSecretBytesMax: 16 * 1024,
  /** A token for an upstream whose issuer does not say how long it lives, and the longest that one is believed. */
  upstreamTokenMs: 5 * 60 * 1000,
  upstreamTokenMsMax: 24 * 60 * 60 * 1000,
  /** Between two requests for a token when the last gave none, or none that the upstream took. */
  upstreamTokenRetryMs: 5_000,
  /** Tokens of one upstream that answers are searched for while they live: renewed after a 401 each time, there could be many. */
  upstreamTokensSearchedMax: 8,
  /** The wait for an issuer of such tokens, and its answer. */
  upstreamIssuerAnswerMs: 10_000,
  upstreamIssuerAnswerBytesMax: 64 * 1024,
  /** An HTTP session ends after this long without a request. */
  httpSessionIdleMs: 5 * 60 * 1000,
  /** Body of a request to the control API. */
  apiBodyBytesMax: 1024 * 1024,
  /** An evidence file, which is read whole: a long session with all that it saw. */
  evidenceBytesMax: 256 * 1024 * 1024,
  /** One file of a recording that is verified over HTTP, to its last byte: a session file may be large, and a link slow. */
  auditFetchMs: 10 * 60 * 1000,
  /** A login's token: long enough for what one sits down for. Answers to approval requests want a fresher login. */
  loginTokenMs: 60 * 60 * 1000,
  /** Fresh logins remembered: each counts for `loginFreshMs`. */
  loginsFreshMax: 10_000,
  /** Logins, enrolments and token exchanges that one source address may try in a minute, and sources told apart. */
  apiAttemptsPerMinute: 120,
  apiSourcesMax: 10_000,
  /** Readers of the event stream, and bytes one of them may leave unread before it is cut off. */
  eventStreamsMax: 100,
  eventStreamBytesMax: 256 * 1024,
  /** Entries between two writes that are kept for who follows them; what is beyond counts as missed. */
  tailWaitingMax: 10_000,
  /** Silence on the event stream: shorter than the idle time-outs of proxies. */
  eventStreamBeatMs: 15_000,
  /** Facts kept of one session for its list, and the length of one; beyond, it counts as having them all. */
  factsPerSessionMax: 2_000,
  factCharactersMax: 512,
  /** Commands that showed labelled columns, of one session and of all, in memory for the index: then it reads the journal. */
  sightingsWaitingMax: 10_000,
  sightingsWaitingInAllMax: 200_000,
  /** One page of who saw a column, and of what somebody saw. */
  sightingsListedMax: 1_000,
  /** Sessions whose recordings one search for a text reads, and how long: then it says how far it came. */
  sessionsSearchedMax: 2_000,
  searchMs: 5_000,
  searchTextMax: 1_000,
  /** One page of a session's entries, and the bytes of results in it. */
  entriesListedMax: 1_000,
  entriesBytesMax: 8 * 1024 * 1024,
  /** Bytes of results under way that a replay or an export keeps in memory; what is beyond it says. */
  replayBytesMax: 256 * 1024 * 1024,
  /** For each question about the definitions of a database; a role's own `statement_timeout` does not count for them. */
  definitionsMs: 60_000,
  /** A text that commands are judged by: the definitions of 50,000 tables. Then so many of them, and bytes in all. */
  snapshotBytesMax: 64 * 1024 * 1024,
  snapshotsMax: 10_000,
  snapshotsBytesMax: 1024 * 1024 * 1024,
  /** Commands of a session that are read ahead because an earlier one has no outcome yet: then that one counts as without. */
  commandsAwaitedMax: 20_000,
  /** Judgements of one simulation that are kept, and examples of each group of changes. */
  rejudgementsKeptMax: 20_000,
  /** Draining at SIGTERM: then sessions are cut. */
  drainMs: 10_000,
  /** From the farewell to the cut: a peer that does not close its side is not waited for longer. */
  hangUpMs: 5_000,
} as const
