/**
 * The functions behind PostgreSQL's built-in operators, comparisons, hashes and output in binary (13 to 18), by name.
 * Who calls `textcat(a, b)` gets what `a || b` gives: they compute from their arguments and do nothing else.
 * `functions.live.test.ts` holds the lists against real servers. Left out are what prints statistics (pg_mcv_list_send)
 * and what only works inside of an aggregate.
 */
const words = (text: string): readonly string[] => text.trim().split(/\s+/)

/** pg_operator.oprcode: those of the grammar's own spellings (LIKE, BETWEEN) included. */
const BEHIND_OPERATORS = words(`
  aclitemeq anytextcat array_eq array_ge array_gt array_le array_lt array_ne arraycontained arraycontains arrayoverlap
  bitand bitcat biteq bitge bitgt bitle bitlt bitne bitnot bitor bitshiftleft bitshiftright bitxor booleq boolge
  boolgt boolle boollt boolne box_above box_above_eq box_add box_below box_below_eq box_center box_contain
  box_contain_pt box_contained box_distance box_div box_eq box_ge box_gt box_intersect box_le box_left box_lt box_mul
  box_overabove box_overbelow box_overlap box_overleft box_overright box_right box_same box_sub bpchar_pattern_ge
  bpchar_pattern_gt bpchar_pattern_le bpchar_pattern_lt bpchareq bpcharge bpchargt bpchariclike bpcharicnlike
  bpcharicregexeq bpcharicregexne bpcharle bpcharlike bpcharlt bpcharne bpcharnlike bpcharregexeq bpcharregexne
  byteacat byteaeq byteage byteagt byteale bytealike bytealt byteane byteanlike cash_div_cash cash_div_flt4
  cash_div_flt8 cash_div_int2 cash_div_int4 cash_div_int8 cash_eq cash_ge cash_gt cash_le cash_lt cash_mi
  cash_mul_flt4 cash_mul_flt8 cash_mul_int2 cash_mul_int4 cash_mul_int8 cash_ne cash_pl chareq charge chargt charle
  charlt charne cideq circle_above circle_add_pt circle_below circle_center circle_contain circle_contain_pt
  circle_contained circle_distance circle_div_pt circle_eq circle_ge circle_gt circle_le circle_left circle_lt
  circle_mul_pt circle_ne circle_overabove circle_overbelow circle_overlap circle_overleft circle_overright
  circle_right circle_same circle_sub_pt close_ls close_lseg close_pb close_pl close_ps close_sb date_eq
  date_eq_timestamp date_eq_timestamptz date_ge date_ge_timestamp date_ge_timestamptz date_gt date_gt_timestamp
  date_gt_timestamptz date_le date_le_timestamp date_le_timestamptz date_lt date_lt_timestamp date_lt_timestamptz
  date_mi date_mi_interval date_mii date_ne date_ne_timestamp date_ne_timestamptz date_pl_interval date_pli
  datetime_pl datetimetz_pl dcbrt dist_bp dist_bs dist_cpoint dist_cpoly dist_lp dist_ls dist_pathp dist_pb dist_pc
  dist_pl dist_polyc dist_polyp dist_ppath dist_ppoly dist_ps dist_sb dist_sl dist_sp dpow dsqrt
  elem_contained_by_multirange elem_contained_by_range enum_eq enum_ge enum_gt enum_le enum_lt enum_ne float48div
  float48eq float48ge float48gt float48le float48lt float48mi float48mul float48ne float48pl float4abs float4div
  float4eq float4ge float4gt float4le float4lt float4mi float4mul float4ne float4pl float4um float4up float84div
  float84eq float84ge float84gt float84le float84lt float84mi float84mul float84ne float84pl float8abs float8div
  float8eq float8ge float8gt float8le float8lt float8mi float8mul float8ne float8pl float8um float8up flt4_mul_cash
  flt8_mul_cash inetand inetmi inetmi_int8 inetnot inetor inetpl int24div int24eq int24ge int24gt int24le int24lt
  int24mi int24mul int24ne int24pl int28div int28eq int28ge int28gt int28le int28lt int28mi int28mul int28ne int28pl
  int2_mul_cash int2abs int2and int2div int2eq int2ge int2gt int2le int2lt int2mi int2mod int2mul int2ne int2not
  int2or int2pl int2shl int2shr int2um int2up int2xor int42div int42eq int42ge int42gt int42le int42lt int42mi
  int42mul int42ne int42pl int48div int48eq int48ge int48gt int48le int48lt int48mi int48mul int48ne int48pl
  int4_mul_cash int4abs int4and int4div int4eq int4ge int4gt int4le int4lt int4mi int4mod int4mul int4ne int4not
  int4or int4pl int4shl int4shr int4um int4up int4xor int82div int82eq int82ge int82gt int82le int82lt int82mi
  int82mul int82ne int82pl int84div int84eq int84ge int84gt int84le int84lt int84mi int84mul int84ne int84pl
  int8_mul_cash int8abs int8and int8div int8eq int8ge int8gt int8le int8lt int8mi int8mod int8mul int8ne int8not
  int8or int8pl int8pl_inet int8shl int8shr int8um int8up int8xor integer_pl_date inter_lb inter_sb inter_sl
  interval_div interval_eq interval_ge interval_gt interval_le interval_lt interval_mi interval_mul interval_ne
  interval_pl interval_pl_date interval_pl_time interval_pl_timestamp interval_pl_timestamptz interval_pl_timetz
  interval_um json_array_element json_array_element_text json_object_field json_object_field_text jsonb_array_element
  jsonb_array_element_text jsonb_contained jsonb_delete jsonb_delete_path jsonb_eq jsonb_ge jsonb_gt jsonb_le jsonb_lt
  jsonb_ne jsonb_object_field jsonb_object_field_text jsonb_path_exists_opr jsonb_path_match_opr line_distance line_eq
  line_horizontal line_interpt line_intersect line_parallel line_perp line_vertical lseg_center lseg_distance lseg_eq
  lseg_ge lseg_gt lseg_horizontal lseg_interpt lseg_intersect lseg_le lseg_length lseg_lt lseg_ne lseg_parallel
  lseg_perp lseg_vertical macaddr8_and macaddr8_eq macaddr8_ge macaddr8_gt macaddr8_le macaddr8_lt macaddr8_ne
  macaddr8_not macaddr8_or macaddr_and macaddr_eq macaddr_ge macaddr_gt macaddr_le macaddr_lt macaddr_ne macaddr_not
  macaddr_or mul_d_interval multirange_adjacent_multirange multirange_adjacent_range multirange_after_multirange
  multirange_after_range multirange_before_multirange multirange_before_range multirange_contained_by_multirange
  multirange_contained_by_range multirange_contains_elem multirange_contains_multirange multirange_contains_range
  multirange_eq multirange_ge multirange_gt multirange_intersect multirange_le multirange_lt multirange_minus
  multirange_ne multirange_overlaps_multirange multirange_overlaps_range multirange_overleft_multirange
  multirange_overleft_range multirange_overright_multirange multirange_overright_range multirange_union nameeq
  nameeqtext namege namegetext namegt namegttext nameiclike nameicnlike nameicregexeq nameicregexne namele nameletext
  namelike namelt namelttext namene namenetext namenlike nameregexeq nameregexne network_eq network_ge network_gt
  network_le network_lt network_ne network_overlap network_sub network_subeq network_sup network_supeq numeric_abs
  numeric_add numeric_div numeric_eq numeric_ge numeric_gt numeric_le numeric_lt numeric_mod numeric_mul numeric_ne
  numeric_pl_pg_lsn numeric_power numeric_sub numeric_uminus numeric_uplus oideq oidge oidgt oidle oidlt oidne
  oidvectoreq oidvectorge oidvectorgt oidvectorle oidvectorlt oidvectorne on_pb on_pl on_ppath on_ps on_sb on_sl
  path_add path_add_pt path_contain_pt path_distance path_div_pt path_inter path_length path_mul_pt path_n_eq
  path_n_ge path_n_gt path_n_le path_n_lt path_npoints path_sub_pt pg_lsn_eq pg_lsn_ge pg_lsn_gt pg_lsn_le pg_lsn_lt
  pg_lsn_mi pg_lsn_mii pg_lsn_ne pg_lsn_pli point_above point_add point_below point_distance point_div point_eq
  point_horiz point_left point_mul point_ne point_right point_sub point_vert poly_above poly_below poly_center
  poly_contain poly_contain_pt poly_contained poly_distance poly_left poly_npoints poly_overabove poly_overbelow
  poly_overlap poly_overleft poly_overright poly_right poly_same pt_contained_circle pt_contained_poly range_adjacent
  range_adjacent_multirange range_after range_after_multirange range_before range_before_multirange range_contained_by
  range_contained_by_multirange range_contains range_contains_elem range_contains_multirange range_eq range_ge
  range_gt range_intersect range_le range_lt range_minus range_ne range_overlaps range_overlaps_multirange
  range_overleft range_overleft_multirange range_overright range_overright_multirange range_union record_eq record_ge
  record_gt record_image_eq record_image_ge record_image_gt record_image_le record_image_lt record_image_ne record_le
  record_lt record_ne starts_with text_ge text_gt text_le text_lt text_pattern_ge text_pattern_gt text_pattern_le
  text_pattern_lt textanycat textcat texteq texteqname textgename textgtname texticlike texticnlike texticregexeq
  texticregexne textlename textlike textltname textne textnename textnlike textregexeq textregexne tideq tidge tidgt
  tidle tidlt tidne time_eq time_ge time_gt time_le time_lt time_mi_interval time_mi_time time_ne time_pl_interval
  timedate_pl timestamp_eq timestamp_eq_date timestamp_eq_timestamptz timestamp_ge timestamp_ge_date
  timestamp_ge_timestamptz timestamp_gt timestamp_gt_date timestamp_gt_timestamptz timestamp_le timestamp_le_date
  timestamp_le_timestamptz timestamp_lt timestamp_lt_date timestamp_lt_timestamptz timestamp_mi timestamp_mi_interval
  timestamp_ne timestamp_ne_date timestamp_ne_timestamptz timestamp_pl_interval timestamptz_eq timestamptz_eq_date
  timestamptz_eq_timestamp timestamptz_ge timestamptz_ge_date timestamptz_ge_timestamp timestamptz_gt
  timestamptz_gt_date timestamptz_gt_timestamp timestamptz_le timestamptz_le_date timestamptz_le_timestamp
  timestamptz_lt timestamptz_lt_date timestamptz_lt_timestamp timestamptz_mi timestamptz_mi_interval timestamptz_ne
  timestamptz_ne_date timestamptz_ne_timestamp timestamptz_pl_interval timetz_eq timetz_ge timetz_gt timetz_le
  timetz_lt timetz_mi_interval timetz_ne timetz_pl_interval timetzdate_pl ts_match_qv ts_match_tq ts_match_tt
  ts_match_vq tsq_mcontained tsq_mcontains tsquery_and tsquery_eq tsquery_ge tsquery_gt tsquery_le tsquery_lt
  tsquery_ne tsquery_not tsquery_or tsvector_concat tsvector_eq tsvector_ge tsvector_gt tsvector_le tsvector_lt
  tsvector_ne uuid_eq uuid_ge uuid_gt uuid_le uuid_lt uuid_ne varbiteq varbitge varbitgt varbitle varbitlt varbitne
  xid8eq xid8ge xid8gt xid8le xid8lt xid8ne xideq xideqint4 xidneq xidneqint4`)

/** What indexes, sorting, grouping and window frames compare and hash with. */
const COMPARING = words(`
  bitcmp bpcharcmp btarraycmp btboolcmp btbpchar_pattern_cmp btcharcmp btfloat48cmp btfloat4cmp btfloat84cmp
  btfloat8cmp btint24cmp btint28cmp btint2cmp btint42cmp btint48cmp btint4cmp btint82cmp btint84cmp btint8cmp
  btnamecmp btnametextcmp btoidcmp btoidvectorcmp btrecordcmp btrecordimagecmp bttext_pattern_cmp bttextcmp
  bttextnamecmp bttidcmp byteacmp cash_cmp date_cmp date_cmp_timestamp date_cmp_timestamptz daterange_canonical
  daterange_subdiff enum_cmp hash_aclitem hash_aclitem_extended hash_array hash_array_extended hash_multirange
  hash_multirange_extended hash_numeric hash_numeric_extended hash_range hash_range_extended hash_record
  hash_record_extended hashbool hashboolextended hashbpchar hashbpcharextended hashbytea hashbyteaextended hashchar
  hashcharextended hashcid hashcidextended hashdate hashdateextended hashenum hashenumextended hashfloat4
  hashfloat4extended hashfloat8 hashfloat8extended hashinet hashinetextended hashint2 hashint2extended hashint4
  hashint4extended hashint8 hashint8extended hashmacaddr hashmacaddr8 hashmacaddr8extended hashmacaddrextended
  hashname hashnameextended hashoid hashoidextended hashoidvector hashoidvectorextended hashtid hashtidextended
  hashxid hashxid8 hashxid8extended hashxidextended in_range int4range_canonical int4range_subdiff int8range_canonical
  int8range_subdiff interval_cmp interval_hash interval_hash_extended jsonb_cmp jsonb_hash jsonb_hash_extended
  macaddr8_cmp macaddr_cmp multirange_cmp network_cmp numeric_cmp numrange_subdiff pg_lsn_cmp pg_lsn_hash
  pg_lsn_hash_extended range_cmp time_cmp time_hash time_hash_extended timestamp_cmp timestamp_cmp_date
  timestamp_cmp_timestamptz timestamp_hash timestamp_hash_extended timestamptz_cmp timestamptz_cmp_date
  timestamptz_cmp_timestamp timestamptz_hash timestamptz_hash_extended timetz_cmp timetz_hash timetz_hash_extended
  tsquery_cmp tsrange_subdiff tstzrange_subdiff tsvector_cmp uuid_cmp uuid_hash uuid_hash_extended varbitcmp xid8cmp`)

/** A value as bytes, as the binary protocol sends it. */
const SENDING = words(`
  anycompatiblearray_send array_send bit_send boolsend box_send bpcharsend byteasend cash_send charsend cidr_send
  cidsend circle_send date_send enum_send float4send float8send inet_send int2send int2vectorsend int4send int8send
  interval_send json_send jsonb_send jsonpath_send line_send lseg_send macaddr8_send macaddr_send multirange_send
  namesend numeric_send oidsend oidvectorsend path_send pg_lsn_send pg_snapshot_send point_send poly_send range_send
  record_send regclasssend regcollationsend regconfigsend regdictionarysend regnamespacesend regoperatorsend
  regopersend regproceduresend regprocsend regrolesend regtypesend textsend tidsend time_send timestamp_send
  timestamptz_send timetz_send tsquerysend tsvectorsend txid_snapshot_send unknownsend uuid_send varbit_send
  varcharsend void_send xid8send xidsend xml_send`)

/** Of two values one; and what is left of older spellings of the mathematical functions. */
const OTHERS = words(`
  booland_statefunc boolor_statefunc bpchar_larger bpchar_smaller bytea_larger bytea_smaller cashlarger cashsmaller
  date_larger date_smaller dexp dlog1 dlog10 dround dtrunc enum_larger enum_smaller float4larger float4smaller
  float8larger float8smaller int2larger int2smaller int4inc int4larger int4smaller int8larger int8smaller
  interval_larger interval_smaller like nameconcatoid network_larger network_smaller notlike numeric_div_trunc
  numeric_exp numeric_inc numeric_larger numeric_ln numeric_log numeric_smaller numeric_sqrt oidlarger oidsmaller
  pg_lsn_larger pg_lsn_smaller record_larger record_smaller text_larger text_smaller textlen tidlarger tidsmaller
  time_larger time_smaller timestamp_larger timestamp_smaller timestamptz_larger timestamptz_smaller timetz_larger
  timetz_smaller xid8_larger xid8_smaller xmlconcat2`)

export const OPERATOR_FUNCTIONS: readonly string[] = [
  ...BEHIND_OPERATORS,
  ...COMPARING,
  ...SENDING,
  ...OTHERS,
]
