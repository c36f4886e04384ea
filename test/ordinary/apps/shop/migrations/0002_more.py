from django.db import migrations, models


def fill(apps, schema_editor):
    apps.get_model("shop", "Shelf").objects.create(label="first")


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]

    operations = [
        migrations.AddField("shelf", "floor", models.IntegerField(default=1)),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.RenameField("shelf", "floor", "storey"),
        migrations.AlterField("shelf", "storey", models.BigIntegerField(null=True)),
        migrations.AddIndex("book", models.Index(fields=["pages"], name="shop_book_pages")),
        migrations.RunSQL("UPDATE shop_shelf SET storey = 2", migrations.RunSQL.noop),
        migrations.RemoveIndex("book", "shop_book_pages"),
        migrations.RemoveField("shelf", "storey"),
        migrations.RunSQL("DELETE FROM shop_shelf", migrations.RunSQL.noop),
    ]
