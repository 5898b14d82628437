"""Output for people: charts, tables, the HTML page, the workbook."""
