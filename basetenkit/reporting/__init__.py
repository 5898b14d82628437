"""What a person looks at: charts, tables, the HTML page, the workbook."""
