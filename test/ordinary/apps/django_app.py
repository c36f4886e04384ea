"""An application on Django: it looks at the schema, migrates, and works. SLUICE_TEST_DSN says where."""
import io
import os
import sys
from urllib.parse import unquote, urlsplit

import django
from django.conf import settings

from report import report

sys.path.insert(0, os.path.dirname(__file__))
dsn = urlsplit(os.environ["SLUICE_TEST_DSN"])
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "shop"],
    DATABASES={"default": {
        "ENGINE": "django.db.backends.postgresql", "NAME": dsn.path[1:], "HOST": dsn.hostname, "PORT": dsn.port,
        "USER": unquote(dsn.username), "PASSWORD": unquote(dsn.password), "CONN_MAX_AGE": 60,
    }},
    USE_TZ=True, SECRET_KEY="for tests", DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
)
django.setup()

from django.contrib.auth.models import Group, Permission, User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.paginator import Paginator  # noqa: E402
from django.db import IntegrityError, connection, transaction  # noqa: E402
from django.db.models import Count, Exists, F, OuterRef, Q, Sum  # noqa: E402

from shop.models import Book, Customer, Invoice, Shelf  # noqa: E402


def shown(each):
    return [each.id, each.name, each.email, each.phone, each.plan]


def called(*args, **options):
    out = io.StringIO()
    call_command(*args, stdout=out, no_color=True, **options)
    return out.getvalue().split("\n")


def reflection():
    with connection.cursor() as cursor:
        tables = sorted(connection.introspection.get_table_list(cursor))
        constraints = {table.name: connection.introspection.get_constraints(cursor, table.name) for table in tables}
        sequences = {table.name: connection.introspection.get_sequences(cursor, table.name) for table in tables}
    return {"inspectdb": called("inspectdb", include_views=True), "tables": tables, "constraints": constraints, "sequences": sequences}


def migrate():
    return {"migrate": called("migrate"), "plan": called("showmigrations"), "again": called("migrate"),
            "check": called("makemigrations", dry_run=True), "flush": called("sqlsequencereset", "shop")}


def rows():
    customers = Customer.objects.order_by("id")
    page = Paginator(customers, 4).page(2)
    overdue = Invoice.objects.filter(customer=OuterRef("pk"), status="overdue")
    return {
        "one": shown(Customer.objects.get(pk=1)),
        "page": [page.paginator.count, page.paginator.num_pages, [shown(each) for each in page]],
        "known": Customer.objects.filter(email="nobody@app.example").exists(),
        "either": [shown(each) for each in customers.filter(Q(email="nobody@app.example") | Q(pk=2))],
        "related": [[i.number, i.customer.email] for i in Invoice.objects.select_related("customer").order_by("id")[:4]],
        "prefetched": [[each.id, [i.number for i in each.invoices.all()]] for each in customers.prefetch_related("invoices")[:3]],
        "plans": list(Customer.objects.values("plan").annotate(n=Count("id"), sum=Sum("invoices__amount")).order_by("plan")),
        "exists": [each.id for each in customers.filter(Exists(overdue))[:5]],
        "aggregate": Invoice.objects.filter(status="paid").aggregate(n=Count("id"), sum=Sum("amount")),
        "bulk": sorted(Customer.objects.in_bulk([1, 2])), "values": list(customers.values_list("id", "plan")[:3]),
        "iterated": sum(1 for _ in Invoice.objects.all().iterator(chunk_size=20)),
        "raw": [shown(each) for each in Customer.objects.raw("SELECT id, name, email, phone, plan FROM customers WHERE id = %s", [3])],
        "dates": list(Invoice.objects.dates("issued_on", "year")), "distinct": list(Invoice.objects.order_by("status").values_list("status", flat=True).distinct()),
    }


def grouped_by_rows():
    """Of a table that Django does not manage it does not trust the key, and groups by every column."""
    return [[each.id, each.email, each.n] for each in Customer.objects.order_by("id").annotate(n=Count("invoices"))[:3]]


def writes():
    new = Customer.objects.create(name="New qzvname Person", email="new.qzvmail1@app.example", phone="+1 qzvphone1", company="App", plan="free", country="DE")
    again = shown(Customer.objects.get(email="new.qzvmail1@app.example"))[1:]
    known, made = Customer.objects.get_or_create(email="new.qzvmail1@app.example", defaults={"plan": "free"})
    known.plan = "team"
    known.save(update_fields=["plan"])
    Invoice.objects.bulk_create([Invoice(customer=new, number=f"APP-{n}", amount=n, currency="EUR", status="open", issued_on="2024-01-02") for n in range(3)])
    changed = Invoice.objects.filter(customer__email="new.qzvmail1@app.example").update(amount=F("amount") + 1)
    try:
        with transaction.atomic():
            Customer.objects.create(name="Twice", email="new.qzvmail1@app.example", company="App", plan="free", country="DE")
        failure = "none"
    except IntegrityError as error:
        failure = [type(error.__cause__).__name__, error.__cause__.pgcode]
    with transaction.atomic():
        locked = Customer.objects.select_for_update().get(pk=new.pk).plan
        Customer.objects.filter(pk=new.pk).update(phone="+1 qzvphone2")
    shelf, _ = Shelf.objects.update_or_create(label="poetry", defaults={"data": {"a": [1, 2]}})
    books = Book.objects.bulk_create([Book(shelf=shelf, title=f"Book {n}", pages=n) for n in range(3)])
    books[0].customers.add(new)
    for each in books:
        each.pages += 10
    Book.objects.bulk_update(books, ["pages"])
    own = {"found": list(Shelf.objects.filter(data__a__0=1).values_list("label", flat=True)), "books": list(Book.objects.order_by("id").values_list("title", "pages")),
           "through": [c.email for c in books[0].customers.all()], "contains": Book.objects.filter(title__icontains="book").count()}
    user = User.objects.create_user("app", "user@app.example", "secret")
    user.groups.add(Group.objects.create(name="staff"))
    user.user_permissions.add(Permission.objects.get(codename="add_book"))
    own["allowed"] = [user.has_perm("shop.add_book"), user.check_password("secret"), Permission.objects.count()]
    deleted = [user.delete(), shelf.delete(), Invoice.objects.filter(customer=new).delete()]
    new.delete()
    return {"again": again, "made": made, "changed": changed, "failure": failure, "locked": locked, "own": own, "deleted": deleted}


def take_back():
    done = [called("migrate", "shop", "zero"), called("migrate", "sessions", "zero"), called("migrate", "auth", "zero"), called("migrate", "contenttypes", "zero")]
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE django_migrations")
        return [done, sorted(connection.introspection.table_names(cursor))]


report([reflection, migrate, rows, grouped_by_rows, writes, take_back])
