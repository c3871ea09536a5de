"""The figures of the installation as a whole: tenants, migrations, vacancies, jobs."""
