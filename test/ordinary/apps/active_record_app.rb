# An application on ActiveRecord: it looks at the schema, migrates, and works. SLUICE_TEST_DSN says where.
require 'active_record'
require 'json'
require 'stringio'

ActiveRecord::Base.establish_connection(ENV.fetch('SLUICE_TEST_DSN'))
ActiveRecord::Migration.verbose = false

class Customer < ActiveRecord::Base
  has_many :invoices, -> { order(:id) }, dependent: :delete_all
  validates :email, uniqueness: true
  scope :of_plan, ->(plan) { where(plan: plan) }
end

class Invoice < ActiveRecord::Base
  belongs_to :customer
  enum status: { open: 'open', paid: 'paid', overdue: 'overdue', refunded: 'refunded' }, _prefix: :is
end

class Balance < ActiveRecord::Base
  self.table_name = 'customer_balance'
  self.primary_key = 'id'
end

class ArProject < ActiveRecord::Base
  has_many :ar_tasks, dependent: :destroy
end

class ArTask < ActiveRecord::Base
  belongs_to :ar_project, counter_cache: true
end

class MakeProjects < ActiveRecord::Migration[6.1]
  def change
    create_table :ar_projects do |t|
      t.string :name, null: false, limit: 40
      t.references :owner, foreign_key: { to_table: :employees }
      t.jsonb :data, default: {}
      t.timestamps
      t.index :name, unique: true
    end
  end
end

class MakeTasks < ActiveRecord::Migration[6.1]
  def up
    create_table(:ar_tasks) { |t| t.belongs_to :ar_project, null: false, foreign_key: true }
    add_column :ar_tasks, :title, :text, default: 'none'
    change_column_null :ar_tasks, :title, false
    add_column :ar_projects, :ar_tasks_count, :integer, default: 0
    rename_column :ar_projects, :name, :title
    add_check_constraint :ar_tasks, "title <> ''", name: 'ar_tasks_title'
    add_index :ar_tasks, :title, where: "title <> 'none'"
    change_column :ar_projects, :title, :text
    change_table_comment :ar_tasks, 'tasks'
    add_column :customers, :ar_score, :integer
    execute "INSERT INTO ar_projects (title, created_at, updated_at) VALUES ('first', now(), now())"
  end

  def down
    remove_column :customers, :ar_score
    drop_table :ar_tasks
    rename_column :ar_projects, :title, :name
  end
end

MIGRATIONS = [MakeProjects.new('MakeProjects', 1), MakeTasks.new('MakeTasks', 2)].freeze

def connection
  ActiveRecord::Base.connection
end

def shown(each)
  [each.id, each.name, each.email, each.phone, each.plan]
end

def migrated(direction, target)
  ActiveRecord::Migrator.new(direction, MIGRATIONS, ActiveRecord::SchemaMigration, target).migrate
  [ArProject, ArTask, Customer].each(&:reset_column_information)
end

STEPS = {
  reflection: lambda do
    tables = connection.tables.sort
    dump = StringIO.new
    ActiveRecord::SchemaDumper.dump(connection, dump)
    {
      tables: tables, views: connection.views, dump: dump.string.lines.reject { |line| line.include?('version:') },
      columns: tables.to_h { |t| [t, connection.columns(t).map { |c| [c.name, c.sql_type, c.null, c.default, c.comment] }] },
      keys: tables.to_h { |t| [t, [connection.primary_key(t), connection.foreign_keys(t).map(&:to_table), connection.indexes(t).map(&:name)]] },
      checks: connection.check_constraints('customers').map(&:expression), version: connection.database_version, extensions: connection.extensions,
      exists: [connection.table_exists?('customers'), connection.view_exists?('customer_balance'), connection.data_source_exists?('nothing')],
      schemas: connection.schema_names, encoding: connection.encoding, collation: connection.collation, path: connection.schema_search_path
    }
  end,
  migrate: lambda do
    ActiveRecord::SchemaMigration.create_table
    ActiveRecord::InternalMetadata.create_table
    ActiveRecord::InternalMetadata[:environment] = 'test'
    migrated(:up, nil)
    { versions: ActiveRecord::SchemaMigration.all_versions, columns: ArProject.column_names, first: ArProject.pluck(:title), customers: Customer.column_names,
      checks: connection.check_constraints('ar_tasks').map(&:name), indexes: connection.indexes('ar_tasks').map { |i| [i.name, i.where] } }
  end,
  rows: lambda do
    customers = Customer.order(:id)
    {
      one: shown(Customer.find(1)), first: shown(Customer.first), again: [1, 2, 1].map { |id| shown(Customer.find(id)) },
      page: customers.limit(3).offset(4).map { |c| shown(c) }, count: Customer.count, known: Customer.exists?(email: 'nobody@app.example'),
      by: Customer.find_by(email: 'nobody@app.example'), several: Customer.where(email: %w[a@app.example b@app.example]).to_a,
      included: customers.includes(:invoices).limit(3).map { |c| [shown(c), c.invoices.map(&:number)] },
      eager: customers.eager_load(:invoices).where(id: 1..3).map { |c| [c.email, c.invoices.size] },
      joined: Customer.joins(:invoices).merge(Invoice.is_overdue).distinct.order(:id).limit(3).pluck(:id),
      plans: Customer.joins(:invoices).group(:plan).order(:plan).sum('invoices.amount').transform_values(&:to_s), grouped: Customer.group(:plan).count,
      plucked: customers.limit(3).pluck(:id, :email), picked: Invoice.order(:id).pick(:number), ids: customers.limit(3).ids, minimum: Invoice.minimum(:amount).to_s,
      batched: Invoice.find_each(batch_size: 25).count, balance: Balance.order(:id).limit(3).map { |b| [b.id, b.email, b.owed.to_s] },
      own: Customer.find_by_sql(['SELECT id, name, email, phone, plan FROM customers WHERE id = ?', 3]).map { |c| shown(c) },
      scoped: Customer.of_plan('team').order(:id).limit(2).map(&:id), without: Customer.where.missing(:invoices).order(:id).limit(3).ids,
      none: Customer.where(phone: nil).count, rows: connection.select_rows('SELECT id, plan FROM customers ORDER BY id LIMIT 2'),
      explained: Invoice.where(customer_id: 1).explain.lines.size > 3
    }
  end,
  writes: lambda do
    new = Customer.create!(name: 'New qzvname Person', email: 'new.qzvmail1@app.example', phone: '+1 qzvphone1', company: 'App', plan: 'free', country: 'DE')
    again = shown(Customer.find_by!(email: 'new.qzvmail1@app.example'))[1..]
    twice = Customer.create(email: 'new.qzvmail1@app.example').errors.full_messages
    new.update!(plan: 'team', phone: '+1 qzvphone2')
    new.invoices.create!((0...3).map { |n| { number: "APP-#{n}", amount: n, currency: 'EUR', status: 'open', issued_on: '2024-01-02' } })
    Invoice.where(customer: new).update_all('amount = amount + 1')
    failure = begin
      Customer.transaction(requires_new: true) { Customer.insert!({ name: 'Twice', email: 'new.qzvmail1@app.example', company: 'App', plan: 'free', country: 'DE', created_at: Time.now }) }
    rescue ActiveRecord::RecordNotUnique => e
      [e.class.name, e.cause.class.name]
    end
    Customer.transaction do
      new.with_lock { new.update!(plan: 'business') }
      raise ActiveRecord::Rollback
    end
    project = ArProject.create!(title: 'second', data: { a: [1] })
    project.ar_tasks.create!([{ title: 'one' }, { title: 'two' }])
    ArProject.upsert_all([{ title: 'second', created_at: Time.now, updated_at: Time.now }, { title: 'third', created_at: Time.now, updated_at: Time.now }], unique_by: :title)
    own = { projects: ArProject.order(:id).pluck(:id, :title, :ar_tasks_count), found: ArProject.where('data @> ?', '{"a": [1]}').count, like: ArTask.where('title LIKE ?', 't%').pluck(:title) }
    nested = ArProject.transaction do
      ArProject.transaction(requires_new: true) { ArProject.delete_all && raise(ActiveRecord::Rollback) } rescue $!.class.name
      ArProject.count
    end
    project.destroy!
    plan = new.reload.plan
    deleted = [new.invoices.delete_all, new.destroy.destroyed?, ArTask.count]
    { again: again, twice: twice, failure: failure, plan: plan, own: own, nested: nested, deleted: deleted }
  end,
  takeBack: lambda do
    migrated(:down, 0)
    connection.drop_table(:ar_projects, if_exists: true)
    connection.drop_table(:schema_migrations)
    connection.drop_table(:ar_internal_metadata)
    connection.tables.sort
  end
}.freeze

seen = STEPS.to_h do |name, step|
  [name, step.call]
rescue StandardError => e
  [name, { thrown: "#{e.class}: #{e.message}" }]
end
puts JSON.generate(seen)
