"""The sample's tables as Django sees them, and some of the application's own."""
from django.db import models


class Customer(models.Model):
    name = models.TextField()
    email = models.TextField(unique=True)
    phone = models.TextField(null=True)
    company = models.TextField()
    plan = models.TextField()
    country = models.CharField(max_length=2)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        managed = False
        db_table = "customers"


class Invoice(models.Model):
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="invoices")
    number = models.TextField(unique=True)
    amount = models.DecimalField(max_digits=10, decimal_places=2)
    currency = models.CharField(max_length=3)
    status = models.TextField()
    issued_on = models.DateField()

    class Meta:
        managed = False
        db_table = "invoices"


class Shelf(models.Model):
    label = models.CharField(max_length=40, unique=True)
    data = models.JSONField(default=dict)


class Book(models.Model):
    shelf = models.ForeignKey(Shelf, models.CASCADE, related_name="books")
    title = models.TextField(db_index=True)
    pages = models.IntegerField(default=0)
    customers = models.ManyToManyField(Customer, db_constraint=False)

    class Meta:
        constraints = [models.CheckConstraint(check=models.Q(pages__gte=0), name="shop_pages")]
        unique_together = [("shelf", "title")]
