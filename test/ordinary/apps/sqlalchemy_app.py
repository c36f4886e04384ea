"""An application on SQLAlchemy and Alembic: it looks at the schema, migrates, and works. SLUICE_TEST_DSN says where."""
import os

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.ext.automap import automap_base
from sqlalchemy.orm import Session, declarative_base, joinedload, relationship, selectinload

from report import report

engine = sa.create_engine(os.environ["SLUICE_TEST_DSN"], future=True, pool_pre_ping=True)
Base = declarative_base()
TABLES = ["employees", "customers", "payment_methods", "invoices", "api_keys", "support_tickets"]


class Customer(Base):
    __tablename__ = "customers"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.Text, nullable=False)
    email = sa.Column(sa.Text, nullable=False)
    phone = sa.Column(sa.Text)
    company = sa.Column(sa.Text, nullable=False)
    plan = sa.Column(sa.Text, nullable=False)
    country = sa.Column(sa.CHAR(2), nullable=False)
    created_at = sa.Column(sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False)
    invoices = relationship("Invoice", back_populates="customer", order_by="Invoice.id")


class Invoice(Base):
    __tablename__ = "invoices"
    id = sa.Column(sa.Integer, primary_key=True)
    customer_id = sa.Column(sa.ForeignKey("customers.id"), nullable=False)
    number = sa.Column(sa.Text, nullable=False)
    amount = sa.Column(sa.Numeric(10, 2), nullable=False)
    currency = sa.Column(sa.CHAR(3), nullable=False)
    status = sa.Column(sa.Text, nullable=False)
    issued_on = sa.Column(sa.Date, nullable=False)
    customer = relationship(Customer, back_populates="invoices")


class Note(Base):
    __tablename__ = "alchemy_notes"
    id = sa.Column(sa.Integer, primary_key=True)
    text = sa.Column(sa.Text, nullable=False)
    customer_id = sa.Column(sa.ForeignKey("customers.id"))


def shown(customer):
    return [customer.id, customer.name, customer.email, customer.phone, customer.plan]


def reflection():
    inspector = sa.inspect(engine)
    described = {
        table: {
            "columns": [{k: str(v) for k, v in column.items()} for column in inspector.get_columns(table)],
            "primary": inspector.get_pk_constraint(table),
            "foreign": inspector.get_foreign_keys(table),
            "indexes": inspector.get_indexes(table),
            "unique": inspector.get_unique_constraints(table),
            "checks": inspector.get_check_constraints(table),
            "comment": inspector.get_table_comment(table),
        }
        for table in TABLES
    }
    return {
        "tables": sorted(inspector.get_table_names()), "views": inspector.get_view_names(), "schemas": inspector.get_schema_names(),
        "view": inspector.get_view_definition("customer_balance"), "enums": inspector.get_enums(), "described": described,
        "has": [inspector.has_table("customers"), inspector.has_table("nothing")],
    }


def automap():
    mapped = automap_base()
    mapped.prepare(engine, reflect=True)
    with Session(engine) as session:
        customer = mapped.classes.customers
        one = session.execute(sa.select(customer).order_by(customer.id).limit(1)).scalar_one()
        return [sorted(mapped.classes.keys()), one.id, one.email, one.tags, len(one.invoices_collection), len(one.support_tickets_collection)]


def migrate():
    with engine.begin() as connection:
        context = MigrationContext.configure(connection)
        context._ensure_version_table()
        op = Operations(context)
        op.create_table("alchemy_projects", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(40), nullable=False),
                        sa.Column("owner_id", sa.Integer, sa.ForeignKey("employees.id")))
        op.create_index("alchemy_projects_name", "alchemy_projects", ["name"], unique=True)
        op.add_column("alchemy_projects", sa.Column("budget", sa.Numeric(10, 2), server_default="0", nullable=False))
        op.alter_column("alchemy_projects", "name", new_column_name="title", existing_type=sa.String(40))
        op.create_check_constraint("alchemy_budget", "alchemy_projects", "budget >= 0")
        op.add_column("customers", sa.Column("alchemy_score", sa.Integer))
        op.bulk_insert(sa.table("alchemy_projects", sa.column("title", sa.String)), [{"title": "one"}, {"title": "two"}])
        op.execute("UPDATE alchemy_projects SET budget = 5 WHERE title = 'one'")
        rows = connection.execute(sa.text("SELECT id, title, budget FROM alchemy_projects ORDER BY id")).fetchall()
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": lambda o, name, *_: str(name).startswith("alchemy") or name is None})
        difference = [str(each[0]) if isinstance(each, tuple) else str(each) for each in compare_metadata(context, Base.metadata)]
        heads = context.get_current_heads()
    Base.metadata.create_all(engine)
    return {"rows": [list(row) for row in rows], "difference": difference, "heads": heads, "columns": [c["name"] for c in sa.inspect(engine).get_columns("customers")]}


def rows():
    with Session(engine) as session:
        customers = sa.select(Customer).order_by(Customer.id)
        by_plan = sa.select(Customer.plan, sa.func.count(), sa.func.sum(Invoice.amount)).join(Customer.invoices).group_by(Customer.plan).order_by(Customer.plan)
        rich = sa.select(Invoice.customer_id, sa.func.sum(Invoice.amount).label("total")).group_by(Invoice.customer_id).subquery()
        first = session.get(Customer, 1)
        return {
            "one": shown(first),
            "page": [shown(each) for each in session.scalars(customers.limit(3).offset(4))],
            "count": session.scalar(sa.select(sa.func.count()).select_from(Customer)),
            "known": [shown(each) for each in session.scalars(sa.select(Customer).where(Customer.email == "nobody@app.example"))],
            "joined": [[shown(each), [i.number for i in each.invoices]] for each in session.scalars(customers.options(joinedload(Customer.invoices)).where(Customer.id < 4)).unique()],
            "selected": [[each.id, len(each.invoices)] for each in session.scalars(customers.options(selectinload(Customer.invoices)).limit(5))],
            "lazy": [i.number for i in first.invoices],
            "plans": [list(row) for row in session.execute(by_plan)],
            "rich": [list(row) for row in session.execute(sa.select(Customer.id, Customer.email, rich.c.total).join(rich, rich.c.customer_id == Customer.id).order_by(rich.c.total.desc(), Customer.id).limit(3))],
            "exists": [row[0] for row in session.execute(sa.select(Customer.id).where(Customer.invoices.any(Invoice.status == "overdue")).order_by(Customer.id).limit(5))],
            "window": [list(row) for row in session.execute(sa.select(Invoice.id, sa.func.row_number().over(partition_by=Invoice.customer_id, order_by=Invoice.id)).order_by(Invoice.id).limit(5))],
            "streamed": sum(1 for _ in session.execute(sa.select(Invoice).execution_options(yield_per=20))),
        }


def writes():
    with Session(engine) as session:
        new = Customer(name="New qzvname Person", email="new.qzvmail1@app.example", phone="+1 qzvphone1", company="App", plan="free", country="DE")
        session.add(new)
        session.flush()
        made = [new.id is not None, new.created_at is not None]
        session.add_all([Invoice(customer=new, number=f"APP-{n}", amount=n, currency="EUR", status="open", issued_on="2024-01-02") for n in range(3)])
        session.commit()
        again = shown(session.scalars(sa.select(Customer).where(Customer.email == "new.qzvmail1@app.example")).one())[1:]
        new.plan = "team"
        new.phone = "+1 qzvphone2"
        session.commit()
        try:
            with session.begin_nested():
                session.add(Customer(name="Twice", email="new.qzvmail1@app.example", company="App", plan="free", country="DE"))
                session.flush()
            failure = "none"
        except sa.exc.IntegrityError as error:
            failure = [type(error.orig).__name__, error.orig.pgcode]
        changed = session.execute(sa.update(Customer).where(Customer.email == "new.qzvmail1@app.example").values(plan="business")).rowcount
        session.rollback()
        plan = session.get(Customer, new.id).plan
        session.execute(sa.insert(Note), [{"text": f"note {n}", "customer_id": new.id} for n in range(4)])
        notes = session.execute(sa.delete(Note).where(Note.text != "note 1").returning(Note.text)).scalars().all()
        session.query(Note).delete()
        for invoice in list(new.invoices):
            session.delete(invoice)
        session.delete(new)
        session.commit()
        return {"made": made, "again": again, "failure": failure, "changed": changed, "plan": plan, "notes": sorted(notes)}


def take_back():
    with engine.begin() as connection:
        op = Operations(MigrationContext.configure(connection))
        op.drop_column("customers", "alchemy_score")
        op.drop_table("alchemy_projects")
        op.drop_table("alchemy_notes")
        op.drop_table("alembic_version")
    return sorted(sa.inspect(engine).get_table_names())


report([reflection, automap, migrate, rows, writes, take_back])
