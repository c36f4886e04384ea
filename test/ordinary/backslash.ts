/** psql's backslash commands, run by psql itself: every one that asks the server something. */
export const BACKSLASH: readonly string[] = String.raw`\d
\dS
\d+
\d customers
\d invoices
\d+ employees
\d customer_balance
\d+ customer_balance
\d invoices_customer
\d customers_id_seq
\d ord.things
\d+ ord.things
\d+ ord.children
\d+ ord.days
\d+ ord.days_2024
\d+ ord.light
\d+ ord.glad
\d+ ord.kept
\d ord.pair
\d ord.numbers
\d ord.far
\d+ ord.days_n
\d pg_stats
\d nothing_of_the_kind
\da
\da ord.*
\daS sum
\dA
\dA+
\dAc btree int4
\dAf btree
\dAo+ btree int4_ops
\dAp btree integer_ops
\db
\db+
\dc int*
\dcS+ utf8*
\dc ord.*
\dC int4
\dC+ ord.*
\dconfig work_mem
\dconfig+ *standard_conforming*
\dd
\dd ord.*
\ddp
\dD
\dD+ ord.*
\dE ord.*
\dew
\dew+
\des
\des+
\det ord.*
\det+ ord.*
\deu
\deu+
\df
\df ord.*
\df+ ord.*
\dfa ord.*
\dfn ord.*
\dfp ord.*
\dft ord.*
\dfw row_number
\df lower text
\dF
\dF+ ord.*
\dFd
\dFd+ simple
\dFp
\dFp+
\dFt
\dFt+
\dg
\dg+ ord_*
\di
\di ord.*
\di+ ord.*
\dl
\dl+
\dL
\dLS+
\dm
\dm+ ord.*
\dn
\dn+
\dn ord*
\do +
\do ord.*
\doS+ ->> jsonb text
\dO
\dO+ ord.*
\dp
\dp ord.*
\dP
\dP+ ord.*
\dPi ord.*
\dPt+ ord.*
\drds
\drds ord_*
\dRp
\dRp+
\dRs
\dRs+
\ds
\ds+ ord.*
\dt
\dt+
\dt ord.*
\dt+ ord.*
\dtvmsi ord.*
\dT
\dT+ ord.*
\dTS int*
\du
\du+ ord_*
\dv
\dv+
\dvS pg_stat*
\dx
\dx+
\dX
\dX ord.*
\dy
\dy+
\encoding
\l
\l crm
\lo_list
\lo_list+
\sf ord.double
\sf+ ord.watch
\sf lower(text)
\sf nothing_of_the_kind
\sv customer_balance
\sv+ ord.glad
\ef ord.double
\ev customer_balance
\z
\z ord.*
SELECT id, email, owed FROM customer_balance ORDER BY id LIMIT 3 \gdesc
SELECT id, plan FROM customers ORDER BY id LIMIT 3 \gx
SELECT 1 AS "one", 'x' AS "two" \gset mine_
\echo :mine_one :mine_two
SELECT format('SELECT %s AS n', g) FROM generate_series(1, 3) g \gexec
SELECT status, currency, count(*) FROM invoices GROUP BY 1, 2 ORDER BY 1, 2 \crosstabview
SELECT id, plan FROM customers ORDER BY id LIMIT 3 \g (format=unaligned tuples_only=on)
\copy (SELECT id, plan FROM customers ORDER BY id LIMIT 3) TO STDOUT WITH (FORMAT csv, HEADER)
\copy (SELECT id, plan FROM customers ORDER BY id LIMIT 3) TO STDOUT
SELECT 1/0;
\errverbose
\set AUTOCOMMIT off
SELECT count(*) FROM invoices;
COMMIT;
\set AUTOCOMMIT on
\set FETCH_COUNT 10
SELECT id, status FROM invoices ORDER BY id LIMIT 35;
\set FETCH_COUNT 0
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT 1/0;
SELECT 1;
COMMIT;
\set ON_ERROR_ROLLBACK off
SELECT 2 AS n \watch c=1 i=0.1`
  .split('\n')
  // psql 15 knows no end to watching.
  .filter((line) => !line.includes(String.raw`\watch`))

/** What psql 18 knows besides. */
export const BACKSLASH_18: readonly string[] = [
  ...BACKSLASH,
  ...String.raw`\drg
\drg+ ord_*
\dx+ plpgsql
\dtx ord.*
\dAx btree
SELECT id, plan FROM customers WHERE id = $1 \bind 2 \g
SELECT id, plan FROM customers WHERE id = $1 \parse mine
\bind_named mine 3 \g
\close_prepared mine
\startpipeline
SELECT $1::int AS n \bind 7 \sendpipeline
SELECT 'pipelined' AS words \bind \sendpipeline
\syncpipeline
\getresults
\endpipeline
SELECT 2 AS n \watch c=2 i=0.1 m=1`.split('\n'),
]
